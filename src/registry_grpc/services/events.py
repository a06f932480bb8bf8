"""EventService: decode, call, encode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.services.codec.events import event_to_wire
from registry_grpc.services.paging import page_size
from registry_grpc.services.watch_messages import Wish, visible
from registry_grpc.v1 import events_pb2, events_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.watching import Watches

KINDS = frozenset(
    {
        "Project",
        "Model",
        "ModelVersion",
        "Stage",
        "Alias",
        "Artifact",
        "Deployment",
        "Evidence",
        "ModelSignature",
        "Policy",
        "PromotionRequest",
    }
)
EVERYWHERE = "projects/-"
PROGRESS_S = 10.0
MIN_PROGRESS_S, MAX_PROGRESS_S = 5.0, 60.0


class EventServicer(events_pb2_grpc.EventServiceServicer):
    """Events."""

    def __init__(self, edge: Edge, watches: Watches) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._watches = watches

    async def Watch(  # type: ignore[override]  # serialised messages
        self, request: events_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[bytes]:
        wish = _wish(request)
        if request.send_initial_state and (request.resume_token or request.after_revision):
            raise invalid_field("send_initial_state", "begins anew; leave resume_token and after_revision out")
        async for message in self._watches.run(request, wish, _interval_s(request)):
            yield message

    async def ListEvents(
        self, request: events_pb2.ListEventsRequest, context: Context
    ) -> events_pb2.ListEventsResponse:
        wish = _wish(request)
        limit = page_size(request.page_size)
        page, position = await self._watches.list(request.resume_token, request.after_revision, limit)
        return events_pb2.ListEventsResponse(
            events=[event_to_wire(event) for event in page.events if wish.wants(event.after) and visible(event.after)],
            resume_token=str(position),
            revision=page.revision,
            more=page.revision < page.head,
        )


def _wish(request: events_pb2.WatchRequest | events_pb2.ListEventsRequest) -> Wish:
    if request.resume_token and request.after_revision:
        raise invalid_field("after_revision", "and resume_token say the same thing; give one of them")
    kinds = _known(request.resource_types, "resource_types", KINDS) or KINDS
    stages = frozenset(request.stages)
    if request.parent == EVERYWHERE:
        return Wish("", "", kinds, stages)
    if "/models/" in request.parent:
        model = ModelName.parse(request.parent, "parent")
        return Wish(model.project, model.model, kinds, stages)
    return Wish(ProjectName.parse(request.parent, "parent").project, "", kinds, stages)


def _known(values: Collection[str], path: str, known: Collection[str]) -> frozenset[str]:
    for at, value in enumerate(values):
        if value not in known:
            raise invalid_field(f"{path}[{at}]", f"{value!r} is none of {', '.join(sorted(known))}")
    return frozenset(values)


def _interval_s(request: events_pb2.WatchRequest) -> float:
    if not request.HasField("progress_interval"):
        return PROGRESS_S
    wished = request.progress_interval.seconds + request.progress_interval.nanos / 1e9
    return min(max(wished, MIN_PROGRESS_S), MAX_PROGRESS_S)
