"""A caller that speaks raw HTTP/2, to send what no gRPC client would. Plaintext, one socket, no threads."""

import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import grpc
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = 8
_CODES = {str(code.value[0]): code.name for code in grpc.StatusCode}
_MAX_FRAME = 16_384
Headers = Iterable[tuple[str, str]]


@dataclass
class Reply:
    """What came on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    """Headers and trailers; of a name that came twice, the last."""
    data: bytes = b""
    reset: int | None = None
    """Code of RST_STREAM."""
    closed: bool = False
    """The connection ended before the stream did."""

    @property
    def code(self) -> str:
        """Name of the gRPC status; empty when there is none."""
        return _CODES.get(self.headers.get("grpc-status", ""), "")

    @property
    def outcome(self) -> str:
        """The gRPC status, else HTTP's, else how the stream ended."""
        if self.code:
            return self.code
        if self.closed:
            return "closed"
        return f"http {self.headers[':status']}" if ":status" in self.headers else f"reset {self.reset}"


def message(body: bytes = b"", *, compressed: int = 0, length: int | None = None) -> bytes:
    """A length-prefixed message, whose flag and length may lie."""
    return struct.pack(">BI", compressed, len(body) if length is None else length) + body


def call(path: str, *more: tuple[str, str], token: str = "", **changes: str) -> list[tuple[str, str]]:
    """The headers of a gRPC call. `changes` replace (`method="GET"`) or, when empty, drop pseudo-headers and `te`."""
    pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "registry"}
    plain = {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "20S"}
    plain |= {"authorization": f"Bearer {token}"} if token else {}
    for name, value in changes.items():
        key = name.replace("_", "-")
        (pseudo if f":{key}" in pseudo else plain)[f":{key}" if f":{key}" in pseudo else key] = value
    return [(key, value) for key, value in (pseudo | plain).items() if value] + list(more)


class RawConnection:
    """One connection. Stream ids are given out in order; nothing that is sent is checked."""

    def __init__(self, endpoint: str, *, settings: Mapping[int, int] | None = None) -> None:
        host, _, port = endpoint.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._buffer = b""
        self._next = 1
        self._replies: dict[int, Reply] = {}
        self._ended: set[int] = set()
        self.goaway: GoAwayFrame | None = None
        self.closed = False
        self._greeted = False
        self.send(PREFACE + SettingsFrame(0, settings=dict(settings or {})).serialize())
        # Limits of the server hold once its settings are acknowledged.
        while not self._greeted and not self.closed:
            self.read(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """These very bytes."""
        self.socket.sendall(data)

    def headers(self, headers: Headers, *, end: bool = False) -> bytes:
        """A HEADERS frame (with CONTINUATION where it is long) on the next stream, to be sent."""
        # hpack's Huffman coding takes seconds for headers of hundreds of KiB.
        block = self._encoder.encode(list(headers), huffman=False)
        stream, self._next = self._next, self._next + 2
        self._replies[stream] = Reply()
        first = HeadersFrame(stream, block[:_MAX_FRAME], flags=["END_STREAM"] if end else [])
        frames: list[Frame] = [first]
        frames += [
            ContinuationFrame(stream, block[start : start + _MAX_FRAME])
            for start in range(_MAX_FRAME, len(block), _MAX_FRAME)
        ]
        frames[-1].flags.add("END_HEADERS")
        return b"".join(frame.serialize() for frame in frames)

    @property
    def last(self) -> int:
        """The stream that was opened last."""
        return self._next - 2

    def open(self, headers: Headers, data: bytes | None = None, *, end: bool = True) -> int:
        """Open a stream with these headers and, where given, bytes in one write; its id."""
        frames = self.headers(headers, end=end and data is None)
        self.send(frames + (self.data(self.last, data, end=end) if data is not None else b""))
        return self.last

    @staticmethod
    def data(stream: int, data: bytes, *, end: bool) -> bytes:
        """DATA frames, to be sent."""
        pieces = [data[start : start + _MAX_FRAME] for start in range(0, len(data), _MAX_FRAME)] or [b""]
        frames = [DataFrame(stream, piece) for piece in pieces]
        if end:
            frames[-1].flags.add("END_STREAM")
        return b"".join(frame.serialize() for frame in frames)

    @staticmethod
    def reset(stream: int, code: int = CANCEL) -> bytes:
        """RST_STREAM, to be sent."""
        return RstStreamFrame(stream, error_code=code).serialize()

    @staticmethod
    def ping() -> bytes:
        """PING, to be sent."""
        return PingFrame(0, opaque_data=b"hostile!").serialize()

    def reply(self, stream: int, within_s: float = 10.0) -> Reply:
        """What came on the stream, once it ended or the connection did.

        Raises: TimeoutError while the stream is open.
        """
        deadline = time.monotonic() + within_s
        while stream not in self._ended and not self.closed:
            self.read(deadline - time.monotonic())
        found = self._replies[stream]
        found.closed = stream not in self._ended
        return found

    def call(self, headers: Headers, data: bytes | None = None, *, end: bool = True, within_s: float = 10.0) -> Reply:
        """Open a stream and wait for its end."""
        return self.reply(self.open(headers, data, end=end), within_s)

    @property
    def ended(self) -> int:
        """Streams that have ended, as far as was read."""
        return len(self._ended)

    def read(self, within_s: float) -> None:
        """Take what has come, waiting for it if need be.

        Raises: TimeoutError.
        """
        self.socket.settimeout(max(0.001, within_s))
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.closed = not data
        self._buffer += data
        while len(self._buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._buffer[:9]))
            if len(self._buffer) < 9 + length:
                return
            frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
            self._buffer = self._buffer[9 + length :]
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        reply = self._replies.get(frame.stream_id, Reply())
        if isinstance(frame, SettingsFrame | PingFrame) and "ACK" not in frame.flags:
            body = frame.opaque_data if isinstance(frame, PingFrame) else None
            answer = PingFrame(0, body, flags=["ACK"]) if body is not None else SettingsFrame(0, flags=["ACK"])
            self.send(answer.serialize())
            self._greeted = True
        elif isinstance(frame, HeadersFrame):
            reply.headers |= {str(key): str(value) for key, value in self._decoder.decode(frame.data)}
        elif isinstance(frame, DataFrame):
            reply.data += frame.data
            self.send(WindowUpdateFrame(0, window_increment=max(1, len(frame.data))).serialize())
        elif isinstance(frame, RstStreamFrame):
            reply.reset = frame.error_code
            self._ended.add(frame.stream_id)
        elif isinstance(frame, GoAwayFrame):
            self.goaway = frame
        if "END_STREAM" in frame.flags:
            self._ended.add(frame.stream_id)
