"""LineageService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.lineage import DEFAULT_DEPTH, MAX_DEPTH
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.search import Visible
from registry_grpc.ports.lineage import Walk
from registry_grpc.services.codec.lineage import (
    DIRECTION,
    TYPE,
    edge_to_wire,
    links_from_wire,
    node_from_wire,
    node_to_wire,
    run_fields,
    run_to_wire,
    step_to_wire,
)
from registry_grpc.services.codec.times import EPOCH
from registry_grpc.services.context import call_context
from registry_grpc.v1 import lineage_pb2, lineage_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Page, Pages
    from registry_grpc.usecases import lineage, runs

_MICROSECOND = timedelta(microseconds=1)
_SEE = "lineage.get"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageVerbs:
    """The use cases of lineage."""

    record: runs.RecordRun
    get: runs.GetRun
    list: runs.ListRuns
    delete: runs.DeleteRun
    link: lineage.LinkLineage
    unlink: lineage.UnlinkLineage
    walk: lineage.GetLineage


class LineageServicer(lineage_pb2_grpc.LineageServiceServicer):
    """Runs, links, and the graph."""

    def __init__(self, edge: Edge, pages: Pages, verbs: LineageVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs

    async def RecordRun(self, request: lineage_pb2.RecordRunRequest, context: Context) -> lineage_pb2.Run:
        name = RunName(ProjectName.parse(request.parent, "parent").project, request.run_id)
        if request.run.name not in {"", str(name)}:
            raise invalid_field("run.name", f"is not {name}, which follows from parent and run_id; leave it empty")
        fields, etag = run_fields(request.run), request.run.etag
        return await self._edge.mutate(request, lambda call: self._verbs.record(call, name, fields, etag), run_to_wire)

    async def GetRun(self, request: lineage_pb2.GetRunRequest, context: Context) -> lineage_pb2.Run:
        name = RunName.parse(request.name)
        return run_to_wire(await self._edge.read(lambda: self._verbs.get(name)))

    async def ListRuns(self, request: lineage_pb2.ListRunsRequest, context: Context) -> lineage_pb2.ListRunsResponse:
        parent = ProjectName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = None if page.after is None else (EPOCH + int(page.after[0]) * _MICROSECOND, str(page.after[1]))
        found = await self._edge.read(lambda: self._verbs.list(parent, after=after, limit=page.limit))
        items, token = page.close(
            found, lambda run: ((run.create_time - EPOCH) // _MICROSECOND, run.name.run), run_to_wire
        )
        return lineage_pb2.ListRunsResponse(runs=items, next_page_token=token)

    async def DeleteRun(self, request: lineage_pb2.DeleteRunRequest, context: Context) -> lineage_pb2.DeleteRunResponse:
        name = RunName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.delete(call, name, request.etag),
            lambda _: lineage_pb2.DeleteRunResponse(),
        )

    async def LinkLineage(
        self, request: lineage_pb2.LinkLineageRequest, context: Context
    ) -> lineage_pb2.LinkLineageResponse:
        project = ProjectName.parse(request.parent, "parent")
        edges = links_from_wire(request.links)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.link(call, project, edges),
            lambda made: lineage_pb2.LinkLineageResponse(
                links=[edge_to_wire(edge) for edge in made.links], revision=made.revision
            ),
        )

    async def UnlinkLineage(
        self, request: lineage_pb2.UnlinkLineageRequest, context: Context
    ) -> lineage_pb2.UnlinkLineageResponse:
        project = ProjectName.parse(request.parent, "parent")
        edges = links_from_wire(request.links)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.unlink(call, project, edges),
            lambda revision: lineage_pb2.UnlinkLineageResponse(revision=revision),
        )

    async def GetLineage(
        self, request: lineage_pb2.GetLineageRequest, context: Context
    ) -> lineage_pb2.GetLineageResponse:
        project = ProjectName.parse(request.parent, "parent")
        node = node_from_wire(request.node, "node")
        way = Walk(
            DIRECTION.from_wire(request.direction, "direction"),
            _depth(request.depth),
            frozenset(TYPE.from_wire(kind, f"types[{at}]") for at, kind in enumerate(request.types)),
        )
        # Of other projects too: a version is reached through its copies.
        visible = Visible(*call_context().rights.places_with(_SEE))
        page = self._pages.open(request)
        root, found = await self._edge.read(
            lambda: self._verbs.walk(project, node, way, visible, after=_place(page), limit=page.limit)
        )
        steps, token = page.close(
            found.steps, lambda step: (step.distance, step.node.type.value, step.node.id), step_to_wire
        )
        return lineage_pb2.GetLineageResponse(
            root=node_to_wire(root),
            steps=steps,
            next_page_token=token,
            truncated=found.truncated,
        )


def _depth(wanted: int) -> int:
    if not 0 <= wanted <= MAX_DEPTH:
        raise invalid_field("depth", f"is {wanted}; must be 1 to {MAX_DEPTH}, or 0 for {DEFAULT_DEPTH}")
    return wanted or DEFAULT_DEPTH


def _place(page: Page) -> tuple[int, str, str] | None:
    """Behind what the page begins."""
    return None if page.after is None else (int(page.after[0]), str(page.after[1]), str(page.after[2]))
