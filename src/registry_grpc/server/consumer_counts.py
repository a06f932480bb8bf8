"""Who uses which version, counted in memory and written down from time to time.

Counting is on the hot path of Resolve: it is one dictionary operation on the loop. What a process had not written when
it was killed is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from registry_grpc.domain.consumers import Counted, Use
from registry_grpc.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Counts = dict[tuple[str, str], int]

FLUSH_S = 30.0
MAX_KEYS = 100_000
"""Most pairs of a principal and a version in memory, of each use; beyond it they are written at once."""
_LOG = logging.getLogger("registry_grpc.consumers")


class ConsumerCounts:
    """Counts of one process. Implements `services.consumption.Consumption`. For the event loop only."""

    def __init__(self, write: Callable[[Sequence[Counted]], Awaitable[None]]) -> None:
        """`write` adds what was counted to the database."""
        self._write = write
        self._resolved: Counts = {}
        self._downloaded: Counts = {}
        self._full = asyncio.Event()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def resolved(self, principal: str, version_uid: str) -> None:
        """See `Consumption`."""
        key = (principal, version_uid)
        try:
            self._resolved[key] += 1
        except KeyError:
            self._begin(self._resolved, key)

    def downloaded(self, principal: str, version_uid: str) -> None:
        """See `Consumption`."""
        key = (principal, version_uid)
        try:
            self._downloaded[key] += 1
        except KeyError:
            self._begin(self._downloaded, key)

    def _begin(self, counts: Counts, key: tuple[str, str]) -> None:
        if len(counts) < MAX_KEYS:
            counts[key] = 1
        else:
            self._dropped += 1
        if len(counts) >= MAX_KEYS:
            self._full.set()

    def start(self) -> None:
        """Begin to write from time to time."""
        self._task = asyncio.create_task(self._run(), name="consumers")

    async def stop(self) -> None:
        """Write what there is, and no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what cannot be written is kept for the next time."""
        if not self._resolved and not self._downloaded:
            return
        resolved, self._resolved = self._resolved, {}
        downloaded, self._downloaded = self._downloaded, {}
        self._full.clear()
        if self._dropped:
            _LOG.warning(
                "uses of versions were not counted, there were too many at once", extra={"uses": self._dropped}
            )
            self._dropped = 0
        try:
            await self._write([*_counted(resolved, Use.RESOLVED), *_counted(downloaded, Use.DOWNLOADED)])
        except RegistryError as error:
            _LOG.debug("uses of versions could not be written; trying again", exc_info=error)
            _put_back(resolved, self._resolved)
            _put_back(downloaded, self._downloaded)

    async def _run(self) -> None:
        while True:
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the wake-up, and `stop` would hang.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._full.wait()
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001 - must go on whatever happens; it is reported
                _LOG.error("uses of versions were lost", exc_info=error)


def _counted(counts: Counts, use: Use) -> list[Counted]:
    return [Counted(version_uid, principal, use, count) for (principal, version_uid), count in counts.items()]


def _put_back(counts: Counts, into: Counts) -> None:
    for key, count in counts.items():
        if key in into or len(into) < MAX_KEYS:
            into[key] = into.get(key, 0) + count
