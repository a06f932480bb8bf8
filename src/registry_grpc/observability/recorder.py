"""Where calls report their end: kept for a moment, then counted and logged together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from registry_grpc.observability.access_log import AccessLog, Line, Who
from registry_grpc.observability.rpc_metrics import RpcMetrics

FLUSH_AFTER_S = 0.05
MESSAGES_AFTER_S = 0.5
"""Messages of streams come by the hundred a second, and settling looks at every method."""
FLUSH_AT_LINES = 512


class Recorder:
    """Batches of one process. Event loop only; `flush` before the loop ends."""

    def __init__(self, metrics: RpcMetrics, access_log: AccessLog, clock: Callable[[], float] = time.time) -> None:
        self.metrics = metrics
        self._access_log = access_log
        self._clock = clock
        self._lines: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        """The timer is that of messages."""

    def log(self, who: Who, request_id: str, seconds: float, reason: str = "") -> None:
        """Add the line of a call."""
        self._lines.append((self._clock(), who, request_id, seconds, reason))
        if len(self._lines) >= FLUSH_AT_LINES:
            self.flush()

    def touch(self) -> None:
        """See to it that what was counted is shown soon."""
        if self._timer is None or self._is_late:
            self._set_timer(FLUSH_AFTER_S, is_late=False)

    def touch_message(self) -> None:
        """See to it that the messages of a stream are shown while it goes on."""
        if self._timer is None:
            self._set_timer(MESSAGES_AFTER_S, is_late=True)

    def _set_timer(self, after_s: float, *, is_late: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._is_late = asyncio.get_running_loop().call_later(after_s, self.flush), is_late

    def flush(self) -> None:
        """Show everything now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.metrics.settle()
        lines, self._lines = self._lines, []
        self._access_log.write(lines)
