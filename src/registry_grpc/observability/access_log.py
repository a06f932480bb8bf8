"""One line per call. Written by hand and in batches: a general logger would cost more than the call.

Every text from outside goes through the JSON escaper, so no name can forge a line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import TextIO

FLUSH_AFTER_S = 0.05
FLUSH_AT_LINES = 256


class AccessLog:
    """Lines of calls to one stream. Used from the event loop only; `flush` before the loop ends."""

    def __init__(self, stream: TextIO, *, json: bool, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._line = _json_line if json else _console_line
        self._clock = clock
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""
        self._timer: asyncio.TimerHandle | None = None

    def write(
        self,
        method: str,
        code: str,
        principal: str,
        request_id: str,
        seconds: float,
        reason: str = "",
    ) -> None:
        """Add the line of one call."""
        now = self._clock()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        stamp = f"{self._stamp}.{int((now - second) * 1000):03d}Z"
        self._lines.append(self._line(stamp, method, code, principal, request_id, seconds * 1000, reason))
        if len(self._lines) >= FLUSH_AT_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self.flush)

    def flush(self) -> None:
        """Hand the lines to the stream. A stream that is gone loses them, not the call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            return


def _json_line(stamp: str, method: str, code: str, principal: str, request_id: str, ms: float, reason: str) -> str:
    tail = f',"reason":{quoted(reason)}' if reason else ""
    return (
        f'{{"timestamp":"{stamp}","level":"info","event":"call","method":{quoted(method)},'
        f'"code":"{code}","principal":{quoted(principal)},"request_id":{quoted(request_id)},'
        f'"ms":{ms:.3f}{tail}}}\n'
    )


def _console_line(stamp: str, method: str, code: str, principal: str, request_id: str, ms: float, reason: str) -> str:
    names = f"{quoted(method)[1:-1]} {code} {reason}".rstrip()
    who = quoted(principal)[1:-1]
    return f"{stamp} {names} {ms:.1f} ms  {who} {quoted(request_id)[1:-1]}\n"
