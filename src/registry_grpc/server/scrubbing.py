"""Paces the scrubber: on the replica that leads, at a bounded rate, for as long as the process runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.server.pools import Pool

RETRY_S = 10.0
"""Pause after a failure, and between looks at whether this replica leads."""
_LOG = logging.getLogger("registry_grpc.scrub")


@dataclass(slots=True, kw_only=True)
class Scrubbing:
    """Runs `step` again and again. Two replicas that do it at once do no harm: they hash the same bytes."""

    step: Callable[[], int | None]
    """Bytes that were hashed; None when nothing is due. Blocking."""
    leads: Callable[[], bool]
    pool: Pool
    bytes_per_s: int
    """0: off."""
    pass_s: float
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin, unless it is off."""
        if self.bytes_per_s:
            self._task = asyncio.create_task(self._run(), name="scrub")

    async def stop(self) -> None:
        """Stop; a block that is being hashed is finished in its thread."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        idle_s = min(max(self.pass_s / 10, 0.5), 60.0)
        while True:
            pause_s = min(RETRY_S, idle_s)
            if self.leads():
                try:
                    hashed = await self.pool.run(self.step)
                    pause_s = idle_s if hashed is None else hashed / self.bytes_per_s
                except Exception as error:  # noqa: BLE001 - whatever fails is tried again; it is reported
                    _LOG.warning("scrubbing failed; it goes on later", exc_info=error)
                    pause_s = RETRY_S
            await asyncio.sleep(pause_s)
