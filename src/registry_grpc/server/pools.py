"""Bounded thread pools: one for control calls, one for bytes, so that uploads never starve a Resolve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from registry_grpc.domain.errors import Reason, RegistryError

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """Runs blocking functions off the loop, a limited number of them at once and in waiting."""

    def __init__(self, name: str, threads: int, *, max_waiting: int = 1024) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._limit = threads + max_waiting
        self._open = 0
        self.name = name

    @property
    def open(self) -> int:
        """Functions running or waiting."""
        return self._open

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns. Context variables are not carried over: pass what it needs.

        Concurrency: event loop only. When the caller is cancelled the function still runs to its end, and still
        counts as running.

        Raises: RATE_LIMITED when too many are waiting.
        """
        if self._open >= self._limit:
            raise RegistryError(Reason.RATE_LIMITED, "this server has too much waiting; retry later", retry_after_s=1)
        loop = asyncio.get_running_loop()
        work = (lambda: function(*args, **kwargs)) if kwargs else function
        future = self._executor.submit(work, *(() if kwargs else args))
        self._open += 1
        future.add_done_callback(lambda _: _on_loop(loop, self._closed_one))
        return await asyncio.wrap_future(future, loop=loop)

    def _closed_one(self) -> None:
        self._open -= 1

    def close(self) -> None:
        """Wait for what runs, drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
