"""ServerService: what the server is and may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.services.codec.times import time_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.v1 import server_pb2, server_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.services.edge import Context, Edge


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What does not change while the server runs."""

    server_version: str
    features: Sequence[str]
    limits: server_pb2.Limits


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """The server itself."""

    def __init__(self, edge: Edge, facts: ServerFacts) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._facts = facts

    async def GetServerInfo(self, request: server_pb2.GetServerInfoRequest, context: Context) -> server_pb2.ServerInfo:
        store = self._edge.store
        head, now = await self._edge.read(lambda: store.read(lambda reader: (reader.feed.head(), reader.now)))
        return server_pb2.ServerInfo(
            server_version=self._facts.server_version,
            api_versions=["registry_grpc.v1"],
            registry_uid=store.registry_uid,
            current_revision=head,
            oldest_revision=min(1, head),
            digest_functions=["sha256"],
            features=self._facts.features,
            limits=self._facts.limits,
            caller=call_context().principal.name,
            server_time=time_to_wire(now),
        )
