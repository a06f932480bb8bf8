"""`/metrics`, `/livez` and `/readyz` on a port of their own, loopback unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

_REQUEST_TIMEOUT_S = 10
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
Failing = Callable[[], Mapping[str, str]]
"""What keeps this from being ready, and why; nothing when it is. Called from threads of the server's own."""


class _Quiet(WSGIRequestHandler):
    """Says nothing of scrapes, and does not wait for ever on a client that says nothing."""

    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's names
        """Nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so that one that says nothing does not keep a kubelet from its answer."""

    # A refused port is an error, as for every other listener of ours.
    allow_reuse_port = False
    daemon_threads = True
    block_on_close = False


class MetricsServer:
    """Serves one registry from a thread of its own, so that a busy loop can still be looked at."""

    def __init__(self, registry: CollectorRegistry, failing: Failing, host: str, port: int) -> None:
        """Opens the port.

        Raises: OSError.
        """
        self._server = make_server(host, port, _app(registry, failing), _Server, handler_class=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port, which was chosen when it was 0."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _app(registry: CollectorRegistry, failing: Failing) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b""]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path == "/livez":
            start_response("200 OK", [_TEXT])
            return [b"ok\n"]
        if path == "/readyz":
            # Names only: why something fails is for the log, this port asks nobody who they are.
            names = sorted(failing())
            start_response("503 Service Unavailable" if names else "200 OK", [_TEXT])
            return [f"not ready: {', '.join(names)}\n".encode() if names else b"ok\n"]
        start_response("404 Not Found", [_TEXT])
        return [b"/metrics, /livez or /readyz\n"]

    return app
