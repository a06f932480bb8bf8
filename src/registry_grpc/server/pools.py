"""Bounded thread pools: one for control calls, one for bytes, so that uploads never starve a Resolve."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from registry_grpc.domain.errors import Reason, RegistryError

P = ParamSpec("P")
T = TypeVar("T")
CONTROL_WAIT_S = 1.5
"""Longest wait for a control thread: with two seconds promised, there is time left to say no."""


class Pool:
    """Runs blocking functions off the loop, a limited number of them at once and in waiting."""

    def __init__(
        self,
        name: str,
        threads: int,
        *,
        max_waiting: int = 1024,
        max_wait_s: float | None = None,
        in_background: bool = False,
    ) -> None:
        """`max_wait_s` bounds the wait for a thread, for pools whose threads may all be held by a sick database.

        `in_background` is for long work on bytes: its threads take no core from the loop in the middle of a call.
        """
        self.threads = threads
        self._max_wait_s = max_wait_s
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix=name, initializer=_into_background if in_background else None
        )
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

        Raises: RATE_LIMITED when too many are waiting; DATABASE_UNAVAILABLE when no thread came free in time.
        """
        if self._open >= self._limit:
            raise RegistryError(Reason.RATE_LIMITED, "this server has too much waiting; retry later", retry_after_s=1)
        loop = asyncio.get_running_loop()
        work = (lambda: function(*args, **kwargs)) if kwargs else function
        answer: asyncio.Future[T] = loop.create_future()
        future = self._executor.submit(work, *(() if kwargs else args))
        self._open += 1
        future.add_done_callback(partial(_on_loop, loop, partial(self._close_one, answer)))
        try:
            if self._max_wait_s is None or self._open <= self.threads:
                return await answer
            return await self._impatient(future, answer, self._max_wait_s)
        except asyncio.CancelledError:
            future.cancel()  # not when it runs already
            raise
        finally:
            # An error knows this frame, and the futures know the error: a circle, until garbage is collected.
            del answer, future

    @staticmethod
    async def _impatient(future: Future[T], answer: asyncio.Future[T], seconds: float) -> T:
        timer = asyncio.get_running_loop().call_later(seconds, future.cancel)
        try:
            return await answer
        except asyncio.CancelledError:
            if not future.cancelled():
                raise
            raise RegistryError(
                Reason.DATABASE_UNAVAILABLE,
                f"the database keeps this server so busy that no thread came free in {seconds:g} s; try again, "
                "with the same request_id for a change",
                retry_after_s=1,
            ) from None
        finally:
            timer.cancel()
            del answer, future

    def _close_one(self, answer: asyncio.Future[T], done: Future[T]) -> None:
        self._open -= 1
        if answer.done():  # nobody waits any more
            return
        if done.cancelled():
            answer.cancel()
        elif (error := done.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    def close(self) -> None:
        """Wait for what runs, drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _into_background() -> None:
    """Put this thread into the batch class (sched(7)): its share of the processor stays, but it interrupts nobody."""
    if sys.platform == "linux":
        # Where a sandbox forbids it, the thread stays what it is.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[Future[T]], None], done: Future[T]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, done)
