"""A receiver of webhooks: a real HTTP or HTTPS server in a thread, which keeps what it was sent."""

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str
    answered: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What came, and what is answered: a status, or a function of the request's headers and body."""

    url: str = ""
    answer: int | Callable[[dict[str, str], str], int] = 204
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    text: bytes = b""
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self) -> list[Received]:
        """Those that were answered with 2xx, in order."""
        with self.lock:
            return [each for each in self.received if 200 <= each.answered < 300]

    def subjects(self, model: str = "") -> list[tuple[str, int]]:
        """Type and revision of what was taken, of one model or of all."""
        events = [each.event for each in self.taken()]
        return [
            (each["type"], int(each["data"]["revision"]))
            for each in events
            if "revision" in each["data"] and f"{each['subject']}/".startswith(f"{model}/" if model else "")
        ]


@contextmanager
def receiving(
    answer: int | Callable[[dict[str, str], str], int] = 204,
    tls: Sequence[Path] = (),
    port: int = 0,
    host: str = "127.0.0.1",
) -> Iterator[Receiver]:
    """A receiver on this address; with `tls` (certificate and key) it speaks HTTPS."""
    receiver = Receiver(answer=answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.answer if isinstance(receiver.answer, int) else receiver.answer(headers, body)
            with receiver.lock:
                receiver.received.append(Received(self.path, headers, body, status))
            if status == 0:
                # As a machine that died: nothing is answered.
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(receiver.text)))
            self.end_headers()
            self.wfile.write(receiver.text)

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """A sender that hung up is part of some tests."""

    server = Server((host, port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
