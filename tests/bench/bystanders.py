"""What others feel of a load: a caller who resolves, and one who asks a bare server that has nothing to do with it.

Clients, MinIO and PostgreSQL take the same cores as the server. The bare server tells how much of a delay is theirs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.calls import RESOLVE, echo, production_model
from tests.bench.harness import Load, Sample, ghz
from tests.kit.server import RegistryServer

PER_S = 50
"""A rate a controller may have: a caller that asks without a pause would be load of its own."""


@dataclass(frozen=True)
class Felt:
    """At the same time: calls of Resolve, and of the bare server."""

    resolve: Sample
    bare: Sample


@dataclass(frozen=True)
class Bystanders:
    """The two callers, one connection each."""

    server: RegistryServer
    model: str
    bare: str

    def ask(self, seconds: int) -> Felt:
        """Ask for so long."""
        load = Load(concurrency=1, seconds=seconds, rps=PER_S)
        request = {"name": self.model, "stage": "production"}
        with ThreadPoolExecutor(2) as pool:
            resolve, bare = pool.map(
                lambda endpoint: ghz(endpoint, RESOLVE, request, load, self.server.token),
                (self.server.endpoint, self.bare),
            )
        return Felt(resolve, bare)


@contextlib.contextmanager
def bystanders(server: RegistryServer) -> Iterator[Bystanders]:
    """With a model in production of their own, and a bare server."""
    with echo(b"") as (port, _):
        yield Bystanders(server, production_model(server), f"127.0.0.1:{port}")
