"""Where calls report their end: kept for a moment, then counted and logged together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from itertools import count

from registry_grpc.observability.access_log import AccessLog, Line, Who
from registry_grpc.observability.rpc_metrics import Meter, RpcMetrics

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
        self._prefix = secrets.token_hex(6)
        self._ids = count(1)

    def request_id(self) -> str:
        """A new id, unique to this process and unlikely to meet another's."""
        return self._prefix + str(next(self._ids))

    def log(self, who: Who, request_id: str, seconds: float, reason: str = "") -> None:
        """Add the line of a call."""
        self._lines.append((self._clock(), who, request_id, seconds, reason))
        if len(self._lines) >= FLUSH_AT_LINES:
            self.flush()

    def answered(self, meter: Meter, who: Who, seconds: float) -> None:
        """A unary call that began and ended well, without an id, and is counted nowhere yet: all that is told of it.

        In one function, for the shortest way there is: what runs between two things gRPC does is not in the caches, and
        takes several times as long as it would in a loop.
        """
        meter.answered.append(seconds)
        self._lines.append((self._clock(), who, "", seconds, ""))
        if self._timer is None or self._is_late:
            self._set_timer(FLUSH_AFTER_S, is_late=False)
        elif len(self._lines) >= FLUSH_AT_LINES:
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
        self._access_log.write(
            (at, who, request_id or self.request_id(), seconds, reason)
            for at, who, request_id, seconds, reason in lines
        )
