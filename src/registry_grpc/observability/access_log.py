"""One line per call. Written by hand and in batches: a general logger would cost more than the call.

Every text from outside goes through the JSON escaper, so no name can forge a line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple, TextIO


class Line(NamedTuple):
    """What is said of one call."""

    time: float
    """End of the call, seconds since the epoch."""
    method: str
    code: str
    principal: str
    request_id: str
    seconds: float
    reason: str = ""


class AccessLog:
    """Lines of calls to one stream."""

    def __init__(self, stream: TextIO, *, json: bool) -> None:
        self._stream = stream
        self._format = _json_line if json else _console_line

    def write(self, lines: Iterable[Line]) -> None:
        """Add lines. A stream that is gone loses them, not the calls."""
        form = self._format
        text = "".join(form(line, _stamp(line.time)) for line in lines)
        if not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return


def _cached_second() -> Callable[[float], str]:
    """Formats times; the part down to the second is formatted once a second."""
    known: tuple[int, str] = (-1, "")

    def stamp(seconds: float) -> str:
        nonlocal known
        whole = int(seconds)
        if known[0] != whole:
            known = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
        return f"{known[1]}.{int((seconds - whole) * 1000):03d}Z"

    return stamp


_stamp = _cached_second()


def _json_line(line: Line, stamp: str) -> str:
    tail = f',"reason":{quoted(line.reason)}' if line.reason else ""
    return (
        f'{{"timestamp":"{stamp}","level":"info","event":"call","method":{quoted(line.method)},'
        f'"code":"{line.code}","principal":{quoted(line.principal)},'
        f'"request_id":{quoted(line.request_id)},"ms":{line.seconds * 1000:.3f}{tail}}}\n'
    )


def _console_line(line: Line, stamp: str) -> str:
    reason = f" {quoted(line.reason)[1:-1]}" if line.reason else ""
    what = f"{quoted(line.method)[1:-1]} {line.code}{reason}"
    who = f"{quoted(line.principal)[1:-1]} {quoted(line.request_id)[1:-1]}"
    return f"{stamp} {what} {line.seconds * 1000:.1f} ms  {who}\n"
