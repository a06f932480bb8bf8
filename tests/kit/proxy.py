"""A TCP proxy that lies: between client and server, or server and PostgreSQL or MinIO.

It runs in a thread of its own. Faults apply to open connections too, at once. `with Proxy("127.0.0.1:5432") as proxy`.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Self

_PIECE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Faults:
    """What is done to the bytes."""

    latency_s: float = 0.0
    """Added to each piece, in each direction."""
    bytes_per_s: float = 0.0
    """Slower than this it goes; 0 for as fast as it can."""
    hold_requests: bool = False
    """Bytes to the server wait."""
    hold_replies: bool = False
    """Bytes from the server wait: half-open, from where the client stands."""
    swallow_replies: bool = False
    """Bytes from the server are thrown away; such a connection can only be cut afterwards."""
    refuse: bool = False
    """New connections are reset."""


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to `target`, `host:port`."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._faults = Faults()
        self._changed: asyncio.Event
        self._links: set[_Link] = set()
        self._server: asyncio.Server
        self.accepted = 0
        """Connections taken so far."""
        self.sent = 0
        """Bytes passed to the server so far."""
        self.received = 0
        """Bytes that came from the server, swallowed ones too."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def endpoint(self) -> str:
        """`host:port` to connect to."""
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._links)

    def fault(self, **changes: Any) -> None:
        """Change some of the `Faults`; the rest stays."""
        self._run(self._set(replace(self._faults, **changes)))

    def blackhole(self) -> None:
        """Everything waits, in both directions, and nobody is told: a cable pulled out."""
        self.fault(hold_requests=True, hold_replies=True)

    def heal(self) -> None:
        """No more faults. What waited goes on."""
        self._run(self._set(Faults()))

    def cut(self) -> int:
        """Reset every open connection; their number."""
        return self._run(self._cut())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._changed = asyncio.Event()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()

    async def _set(self, faults: Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    async def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.reset()
        await asyncio.sleep(0)
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._faults.refuse:
            _reset(writer)
            return
        try:
            upstream = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, upstream[1])
        self._links.add(link)
        pumps = [
            asyncio.ensure_future(self._pump(reader, upstream[1], replies=False)),
            asyncio.ensure_future(self._pump(upstream[0], writer, replies=True)),
        ]
        link.pumps = pumps
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps, return_exceptions=True)
        self._links.discard(link)
        link.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(_PIECE):
                await self._delay(len(piece), replies=replies)
                if replies:
                    self.received += len(piece)
                    if self._faults.swallow_replies:
                        continue
                else:
                    self.sent += len(piece)
                sink.write(piece)
                await sink.drain()
            sink.write_eof()

    async def _delay(self, size: int, *, replies: bool) -> None:
        while True:
            faults, changed = self._faults, self._changed
            if not (faults.hold_replies if replies else faults.hold_requests):
                break
            await changed.wait()
        seconds = faults.latency_s + (size / faults.bytes_per_s if faults.bytes_per_s else 0.0)
        if seconds:
            await asyncio.sleep(seconds)


class _Link:
    """One connection and its continuation."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.pumps: list[asyncio.Future[None]] = []

    def reset(self) -> None:
        """RST on both sides."""
        for pump in self.pumps:
            pump.cancel()
        for writer in self._writers:
            _reset(writer)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    handle = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # Linger of no seconds: closing sends RST, and what was still to be sent is dropped.
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
