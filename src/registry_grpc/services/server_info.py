"""ServerService: what the server is and may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.observability.objectives_document import shipped
from registry_grpc.services.codec.times import duration_to_wire, time_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.v1 import server_pb2, server_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.garbage import Tally
    from registry_grpc.services.edge import Context, Edge, Pool
    from registry_grpc.usecases.garbage import CollectGarbage


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What does not change while the server runs."""

    server_version: str
    features: Sequence[str]
    limits: server_pb2.Limits


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """The server itself."""

    def __init__(self, edge: Edge, facts: ServerFacts, collect: CollectGarbage, transfer: Pool) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._facts = facts
        self._collect = collect
        self._transfer = transfer
        self._objectives = _objectives()

    async def GetServerInfo(self, request: server_pb2.GetServerInfoRequest, context: Context) -> server_pb2.ServerInfo:
        store = self._edge.store
        head, oldest, now = await self._edge.read(
            lambda: store.read(lambda reader: (reader.feed.head(), reader.feed.oldest(), reader.now), snapshot=True)
        )
        return server_pb2.ServerInfo(
            server_version=self._facts.server_version,
            api_versions=["registry_grpc.v1"],
            registry_uid=store.registry_uid,
            current_revision=head,
            oldest_revision=min(oldest, head),
            digest_functions=["sha256"],
            features=self._facts.features,
            limits=self._facts.limits,
            caller=call_context().principal.name,
            server_time=time_to_wire(now),
            objectives=self._objectives,
        )

    async def CollectGarbage(
        self, request: server_pb2.CollectGarbageRequest, context: Context
    ) -> server_pb2.CollectGarbageResponse:
        if request.adopt_store and not request.execute:
            raise invalid_field("adopt_store", "needs execute: a dry run changes nothing")
        if request.execute:
            caller = call_context().principal
            found = await self._transfer.run(lambda: self._collect(caller, adopt_store=request.adopt_store))
        else:
            found = await self._transfer.run(self._collect.preview)
        return server_pb2.CollectGarbageResponse(
            waiting=_byte_count(found.waiting),
            collected=_byte_count(found.collected),
            orphans_waiting=_byte_count(found.orphans_waiting),
            orphans_collected=_byte_count(found.orphans_collected),
            more=found.more,
        )


def _objectives() -> Sequence[server_pb2.ServiceObjective]:
    slo = shipped()
    period = duration_to_wire(timedelta(seconds=slo.period.seconds))
    return [
        server_pb2.ServiceObjective(name=each.name, description=each.summary, target=each.target, period=period)
        for each in slo.objectives
    ]


def _byte_count(tally: Tally) -> server_pb2.ByteCount:
    return server_pb2.ByteCount(count=tally.count, size_bytes=tally.size_bytes)
