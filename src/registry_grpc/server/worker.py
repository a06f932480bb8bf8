"""One of several server processes behind one port. `python -m registry_grpc.server.worker FD`; workers.py starts it.

FD is a socket to the parent. The first line that comes is the settings, secrets included, so that they stand neither
in the arguments nor in the environment; each further line is a question, each answered by one line of JSON. When the
parent is gone the worker drains and ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading

from pydantic import BaseModel, SecretStr

from registry_grpc.domain.errors import RegistryError
from registry_grpc.observability.sums import snapshot
from registry_grpc.server.app import Server
from registry_grpc.server.compose import compose
from registry_grpc.server.lifecycle import Signals, run
from registry_grpc.server.listeners import BindError
from registry_grpc.server.process import prepare_process
from registry_grpc.server.settings import Settings
from registry_grpc.storage.sql.faults import AddressError, SchemaError, StoreInUseError

READY, METRICS, HEALTH = "ready", "metrics", "health"
FAILED_CODE, UNAVAILABLE_CODE = 1, 4
"""How a worker ends that could not start: for good, or because something is away."""

_TELL_S = 5.0
_LOG = logging.getLogger("registry_grpc.workers")


def _plain(value: object) -> object:
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else str(value)


def settings_text(settings: Settings) -> str:
    """The settings as one line, secrets in the clear: for the socket only."""
    return json.dumps({name: _open(value) for name, value in settings if value is not None}, default=_plain)


def _open(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


class Link:
    """The worker's end of the socket. Its thread answers also while the loop is stuck."""

    def __init__(self, end: socket.socket) -> None:
        # Two files: one for both ways forgets with each line it writes whatever it has read and not handed out yet. Of
        # questions that came together all but the first would be lost, and no answer would meet its question again.
        self._questions = end.makefile("r", encoding="utf-8", newline="\n")
        self._answers = end.makefile("w", encoding="utf-8", newline="\n")
        self._started = threading.Event()
        self._server: Server | None = None
        self._failure = ""
        self._told = threading.Event()

    def settings(self) -> Settings:
        """What the parent says first."""
        return Settings.model_validate(json.loads(self._questions.readline()))

    def serve(self) -> None:
        """Answer in a thread from now on."""
        threading.Thread(target=self._answer_all, name="parent", daemon=True).start()

    def started(self, server: Server) -> None:
        """Calls are taken."""
        self._server = server
        self._started.set()

    def failed(self, text: str) -> None:
        """The parent reads why instead of the ports. Returns when it was told."""
        self._failure = text
        self._started.set()
        self._told.wait(_TELL_S)

    def _answer_all(self) -> None:
        try:
            for line in self._questions:
                self._answers.write(self._sure_answer(line.strip()) + "\n")
                self._answers.flush()
                self._told.set()
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _sure_answer(self, question: str) -> str:
        """The answer, or null: a thread that a defect ended would leave this worker without a voice for good."""
        try:
            return self._answer(question)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent must be told something
            _LOG.exception("a question of the parent cannot be answered", extra={"question": question}, exc_info=error)
            return "null"

    def _answer(self, question: str) -> str:
        self._started.wait()
        if self._server is None:
            return json.dumps({"failed": self._failure})
        if question == METRICS:
            metrics = self._server.metrics
            return snapshot(metrics.registry, metrics.modes)
        if question == HEALTH:
            return json.dumps(dict(self._server.health.failing))
        return json.dumps({"ports": self._server.ports})


def main(descriptor: int) -> int:
    """Serve until the parent says so; the exit code."""
    link = Link(socket.socket(fileno=descriptor))
    settings = link.settings()
    prepare_process(settings)
    link.serve()
    try:
        run(_serve(settings, link), uvloop=settings.uvloop)
    except (AddressError, BindError, SchemaError, StoreInUseError) as error:
        link.failed(str(error))
        return FAILED_CODE
    except RegistryError as error:
        link.failed(str(error))
        return UNAVAILABLE_CODE
    return 0


async def _serve(settings: Settings, link: Link) -> None:
    server = await Server.build(settings, compose)
    await server.start()
    signals = Signals()
    link.started(server)
    await server.serve(signals)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
