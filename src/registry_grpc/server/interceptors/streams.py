"""The streaming calls that are open: each is proven and authorized again every few seconds, and ended when that fails.

A unary call ends by itself before its caller's rights could matter again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class OpenStream(Protocol):
        """A streaming call."""

        async def recheck(self) -> None:
            """Prove and authorize the caller again; end the call when that fails. Raises nothing."""


EVERY_S = 5.0
AT_ONCE = 8
"""Most that ask the database at the same time: it has other work."""
_LOG = logging.getLogger("registry_grpc.calls")


class OpenStreams:
    """Concurrency: event loop only."""

    def __init__(self) -> None:
        """None is open."""
        self._open: set[OpenStream] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: OpenStream) -> None:
        """It began, and its caller was proven."""
        self._open.add(stream)

    def discard(self, stream: OpenStream) -> None:
        """It ended."""
        self._open.discard(stream)

    def start(self) -> None:
        """Begin to check."""
        self._task = asyncio.create_task(self._run(), name="open-streams")

    async def stop(self) -> None:
        """Check no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - the next round must come whatever happens in this one
                _LOG.error("checking the open streams failed", exc_info=error)

    async def check(self) -> None:
        """Check every stream that is open now."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def check(stream: OpenStream) -> None:
            async with turns:
                if stream in self._open:
                    await stream.recheck()

        await asyncio.gather(*(check(stream) for stream in tuple(self._open)))
