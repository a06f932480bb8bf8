"""Clients that create models as fast as they can and write down what they were told."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import create_engine, text

from registry_grpc.v1 import models_pb2
from tests.kit.catalogue import request_id
from tests.kit.history import UNKNOWN, Recorder, Write, faults_of, log_of
from tests.kit.server import RegistryServer

_TRACES = (
    "SELECT substr(id, 2) FROM model WHERE id LIKE 'm%-%'",
    "SELECT request_id FROM event WHERE request_id <> ''",
    "SELECT request_id FROM audit WHERE request_id <> ''",
    "SELECT request_id FROM idempotency",
)
"""What one change leaves, by its request_id."""


class Load:
    """Creates models in project `default`, each under a request_id that is also its name."""

    def __init__(self, clients: int = 4) -> None:
        self.history = Recorder()
        self._clients = clients
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, server: RegistryServer) -> None:
        """Write until `stop`, or until a client met an outcome nobody knows."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._run, args=(number, server), name=f"client-{number}")
            for number in range(self._clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every client finish its call."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self, number: int, server: RegistryServer) -> None:
        api = server.api()
        while not self._stop.is_set():
            self.history.write(number, creation(request_id()), iter([api.models.CreateModel]))
            if self.history.writes[-1].outcome == UNKNOWN and server.process and server.process.poll() is not None:
                break
        api.close()

    def settle(self, server: RegistryServer) -> list[Write]:
        """Repeat what has no known outcome under its request_id, as clients do; the writes that were repeated."""
        api = server.api()
        unknown = list(unknown_of(self))
        writes = self.history.writes
        for write in unknown:
            self.history.write(write.client, creation(write.request_id), itertools.repeat(api.models.CreateModel, 3))
            # One change, however often it was asked for: it began when it was first asked for.
            last = writes.pop()
            writes[writes.index(write)] = replace(last, began=write.began)
        api.close()
        return unknown


def creation(name: str) -> models_pb2.CreateModelRequest:
    """The request that makes the model of that request_id."""
    return models_pb2.CreateModelRequest(parent="projects/default", model_id=f"m{name}", request_id=name)


def database_of(server: RegistryServer) -> str:
    """Address of the server's database."""
    return server.settings.get("database_url", f"sqlite:///{server.data_dir / 'registry.db'}")


def check(url: str, load: Load) -> set[str]:
    """The log explains everything, and each change is there in all its rows or in none; request_ids of those there."""
    log = log_of(url)
    faults = faults_of(log, load.history.writes, load.history.reads)
    assert not faults, "\n".join(faults[:20])
    engine = create_engine(url)
    with engine.connect() as connection:
        head, entries = connection.execute(text("SELECT revision, audit_size FROM log_head")).one()
        assert (head, entries) == (log[-1].revision, connection.execute(text("SELECT count(*) FROM audit")).scalar())
        model, *rest = (sorted(connection.scalars(text(query))) for query in _TRACES)
    engine.dispose()
    assert len(model) == len(set(model))
    assert [model] * len(rest) == rest, "some change is there in part"
    return set(model)


def unknown_of(load: Load) -> Iterator[Write]:
    """Writes whose outcome their client never learned."""
    return (write for write in load.history.writes if write.outcome == UNKNOWN)
