"""Calls with credentials of the test's own making, and what the server takes their caller for."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import grpc

from registry_grpc.v1 import server_pb2, server_pb2_grpc

TIMEOUT_S = 20


def caller(channel: grpc.Channel, *authorization: str) -> str:
    """Who a call with these `authorization` headers is to the server."""
    stub = server_pb2_grpc.ServerServiceStub(channel)
    metadata = [("authorization", each) for each in authorization]
    return stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=TIMEOUT_S, metadata=metadata).caller


def bearer(token: str) -> str:
    return f"Bearer {token}"


class Trap:
    """A web server that nobody should ever ask anything."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []


@contextlib.contextmanager
def trap() -> Iterator[Trap]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Trap(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
