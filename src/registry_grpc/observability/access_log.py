"""One line per call. Written by hand and in batches: a general logger would cost more than the call.

Every text from outside goes through the JSON escaper, so no name can forge a line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring_ascii as quoted
from select import PIPE_BUF
from typing import NamedTuple, TextIO


class Who(NamedTuple):
    """What many calls have in common; whoever repeats a call keeps this, and it is formatted once."""

    method: str
    code: str
    principal: str


Line = tuple[float, Who, str, float, str]
"""End of the call in seconds since the epoch, who, its request id, its seconds, and the reason or nothing. Unnamed: it
is made for every call."""
_MAX_WHOS = 4096
_OK = "OK"


class AccessLog:
    """Lines of calls to one stream."""

    def __init__(self, stream: TextIO, *, json: bool, failures_only: bool = False) -> None:
        self._stream = stream
        self._failures_only = failures_only
        self._format = _json_line if json else _console_line
        self._who = _json_who if json else _console_who
        self._whos: dict[Who, str] = {}

    def write(self, lines: Iterable[Line]) -> None:
        """Add lines. A stream that is gone loses them, not the calls."""
        form, whos = self._format, self._whos
        if self._failures_only:
            lines = (line for line in lines if line[1].code != _OK)
        texts = (
            form(_stamp(at), whos.get(who) or self._remember(who), request_id, seconds, reason)
            for at, who, request_id, seconds, reason in lines
        )
        try:
            for piece in _pieces(texts):
                self._stream.write(piece)
                self._stream.flush()
        except (OSError, ValueError):
            return

    def _remember(self, who: Who) -> str:
        if len(self._whos) >= _MAX_WHOS:
            self._whos.clear()
        self._whos[who] = text = self._who(who)
        return text


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Lines put together, as many as a pipe takes in one piece: what is longer mixes with lines of other workers."""
    piece: list[str] = []
    size = 0
    for line in lines:  # ASCII, so that characters are bytes
        if piece and size + len(line) > PIPE_BUF:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield "".join(piece)


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


def _json_who(who: Who) -> str:
    return f'"method":{quoted(who.method)},"code":"{who.code}","principal":{quoted(who.principal)}'


def _json_line(stamp: str, who: str, request_id: str, seconds: float, reason: str) -> str:
    tail = f',"reason":{quoted(reason)}' if reason else ""
    return (
        f'{{"timestamp":"{stamp}","level":"info","event":"call",{who},'
        f'"request_id":{quoted(request_id)},"ms":{seconds * 1000:.3f}{tail}}}\n'
    )


def _console_who(who: Who) -> str:
    return f"{quoted(who.method)[1:-1]} {who.code} {quoted(who.principal)[1:-1]}"


def _console_line(stamp: str, who: str, request_id: str, seconds: float, reason: str) -> str:
    tail = f" {quoted(reason)[1:-1]}" if reason else ""
    return f"{stamp} {who} {seconds * 1000:.1f} ms{tail}  {quoted(request_id)[1:-1]}\n"
