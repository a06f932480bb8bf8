"""Refused changes on their way into the audit trail: in batches, off the hot path, and never at the caller's cost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.calls import SYSTEM
from registry_grpc.domain.events import Occurrence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from registry_grpc.observability.metrics import Metrics

EVERY_S = 1.0
BATCH = 100
"""Most of one second: what comes above it is only counted, so that nobody fills the trail by being refused."""
_LOG = logging.getLogger("registry_grpc.audit")


class Denials:
    """Keeps refusals until they are written. Concurrency: event loop only."""

    def __init__(self, write: Callable[[Sequence[Occurrence]], Awaitable[Any]], metrics: Metrics) -> None:
        """`write` adds audit entries for them."""
        self._write = write
        self._waiting: list[Occurrence] = []
        self._dropped = 0
        self._left = BATCH
        self._count_dropped = metrics.audit_denials_dropped.inc
        self._task: asyncio.Task[None] | None = None

    def note(self, denial: Occurrence) -> None:
        """Take one; it is written within `EVERY_S` while the database can be asked."""
        if self._left <= 0:
            self._drop(1)
            return
        self._left -= 1
        self._waiting.append(denial)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="denials")

    async def stop(self) -> None:
        """Write what is left, once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()
            self._left = BATCH

    async def flush(self) -> None:
        """Write what is there. What cannot be written is counted as dropped: the database is away."""
        if not self._waiting and not self._dropped:
            return
        batch, self._waiting = self._waiting, []
        dropped, self._dropped = self._dropped, 0
        rows = [*batch, _lost(dropped)] if dropped else batch
        try:
            await self._write(rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers must not notice; it is reported
            _LOG.warning("refused calls could not be recorded", exc_info=error, extra={"count": len(batch)})
            self._dropped = dropped
            self._drop(len(batch))

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._count_dropped(count)


def _lost(count: int) -> Occurrence:
    """The entry that stands for those of which there is none."""
    return Occurrence(
        actor=SYSTEM.name,
        method="Audit.Dropped",
        resource="",
        request_id="",
        outcome=f"DROPPED {count}",
        authentication=SYSTEM.method,
    )
