"""An S3 server that is at times unwell: an HTTP proxy in front of a real one that answers some requests itself.

It passes the Host header on as it came, because it is signed.
"""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Fault:
    """What is answered in place of the store."""

    status: int
    code: str
    """The S3 error code."""
    is_after: bool = False
    """The store gets the request and does it; only its answer is lost, and the connection with it."""


class UnwellStore:
    """Listens on a free port and forwards to `target`, `host:port`. `judge` may give each request a fault."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.judge: Callable[[str, str], Fault | None] = lambda method, query: None  # noqa: ARG005
        self.seen: list[tuple[str, str]] = []
        """Method and query of each request."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="unwell-store", daemon=True)

    @property
    def endpoint(self) -> str:
        """`host:port` for the registry."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                query = urlsplit(self.path).query
                store.seen.append((self.command, query))
                fault = store.judge(self.command, query)
                if fault is None or fault.is_after:
                    status, headers, answer = store._ask(self.command, self.path, dict(self.headers), body)
                if fault is None:
                    self._answer(status, headers, answer)
                elif fault.is_after:
                    self.close_connection = True
                    self.connection.close()
                else:
                    text = f"<Error><Code>{fault.code}</Code></Error>".encode()
                    self._answer(fault.status, {"Content-Type": "application/xml"}, text)

            def _answer(self, status: int, headers: dict[str, str], answer: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in _HOP | {"content-length"}:
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else str(len(answer))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Silent."""

        return Handler

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._target, timeout=30)
        try:
            connection.request(method, path, body or None, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()
