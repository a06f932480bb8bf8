"""What came from what: ask for it, link nodes, record runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.client import lineage_graph as graph
from registry_grpc.client.connection import Pages
from registry_grpc.client.errors import InvalidArgument, NotFound
from registry_grpc.client.metadata import message
from registry_grpc.client.session import Session
from registry_grpc.client.stages import StageCalls
from registry_grpc.v1 import lineage_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.client.lineage_graph import Edge, LineageGraph, Node

    NodeLike = str | Node

MAX_NODES = 100_000
_PAGE = 1000


class _Nodes(Session):
    """What a text stands for."""

    def node(self, text: NodeLike) -> Node:
        """The node that a text stands for; the id of a run or deployment is that of one in the project."""
        if isinstance(text, graph.Node):
            return text
        found = graph.parse_node(text)
        if found is None:
            reference = self.reference(text.removeprefix("version:"))
            if reference.number is not None and not reference.digest:
                return graph.Node("MODEL_VERSION", reference.version_name)
            return graph.Node("MODEL_VERSION", StageCalls(self._connection).resolve(reference).version)
        if "/" in found.id or found.type not in {"RUN", "DEPLOYMENT"}:
            return found
        return graph.Node(found.type, f"{self.project_name()}/{found.type.lower()}s/{found.id}")


class LineageCalls(_Nodes):
    """The graph, at `registry.lineage`. Every method raises RegistryError.

    A node is given as `fraud/7`, `fraud@production`, `dataset:churn@3`, `run:train-42`, `code:REPOSITORY@REVISION`,
    `source:`, `step:`, `features:`, `external:`, `report:` or `deployment:` with an id, a resource name, or a Node.
    """

    def upstream(
        self, node: NodeLike, *, depth: int = 0, types: Iterable[str] = (), limit: int = MAX_NODES
    ) -> LineageGraph:
        """What a node came from; at most `limit` nodes of these types, as far as `depth` (10 unless given)."""
        return self._walk(node, lineage_pb2.LINEAGE_DIRECTION_UPSTREAM, depth, types, limit)

    def downstream(
        self, node: NodeLike, *, depth: int = 0, types: Iterable[str] = (), limit: int = MAX_NODES
    ) -> LineageGraph:
        """What came from a node; as `upstream`. `downstream("dataset:churn@3", types=["deployment"])` is its impact."""
        return self._walk(node, lineage_pb2.LINEAGE_DIRECTION_DOWNSTREAM, depth, types, limit)

    def link(self, downstream: NodeLike, upstream: NodeLike, relation: str = "") -> Edge:
        """Say that one node came from another; the relation is that of their types unless given."""
        [made] = self.link_all([(downstream, upstream, relation)])
        return made

    def link_all(self, links: Iterable[tuple[NodeLike, NodeLike, str]]) -> Sequence[Edge]:
        """Downstream, upstream and relation (empty for that of their types) of up to 1000: all or nothing."""
        request = lineage_pb2.LinkLineageRequest(parent=self.project_name(), links=self._edges(links))
        answer = self._connection.write(self._connection.stubs.lineage.LinkLineage, request)
        return [graph.edge_from_wire(each) for each in answer.links]

    def unlink(self, downstream: NodeLike, upstream: NodeLike, relation: str = "") -> None:
        """Take a link back."""
        request = lineage_pb2.UnlinkLineageRequest(
            parent=self.project_name(), links=self._edges([(downstream, upstream, relation)])
        )
        self._connection.write(self._connection.stubs.lineage.UnlinkLineage, request)

    def _edges(self, links: Iterable[tuple[NodeLike, NodeLike, str]]) -> list[lineage_pb2.LineageEdge]:
        return [
            lineage_pb2.LineageEdge(
                downstream=graph.node_to_wire(self.node(downstream)),
                upstream=graph.node_to_wire(self.node(upstream)),
                relation=graph.relation_to_wire(relation),
            )
            for downstream, upstream, relation in links
        ]

    def _walk(
        self,
        node: NodeLike,
        direction: lineage_pb2.LineageDirection.ValueType,
        depth: int,
        types: Iterable[str],
        limit: int,
    ) -> LineageGraph:
        start = self.node(node)
        try:
            return self._walked(start, direction, depth, types, limit)
        except NotFound:
            if not isinstance(node, str) or not node.startswith("run:") or start.id == node.removeprefix("run:"):
                raise
        # What a version says of its training run is the id it has elsewhere.
        return self._walked(graph.Node("RUN", node.removeprefix("run:")), direction, depth, types, limit)

    def _walked(
        self,
        start: Node,
        direction: lineage_pb2.LineageDirection.ValueType,
        depth: int,
        types: Iterable[str],
        limit: int,
    ) -> LineageGraph:
        request = lineage_pb2.GetLineageRequest(
            parent=self._place_of(start),
            node=graph.node_to_wire(start),
            direction=direction,
            depth=depth,
            types=[_type(each) for each in types],
            page_size=_PAGE,
        )
        steps: list[lineage_pb2.LineageStep] = []
        while True:
            answer = self._connection.read(self._connection.stubs.lineage.GetLineage, request)
            steps += answer.steps
            request.page_token = answer.next_page_token
            if not request.page_token or len(steps) >= limit:
                break
        return graph.graph_of(
            answer.root,
            steps[:limit],
            downstream=direction == lineage_pb2.LINEAGE_DIRECTION_DOWNSTREAM,
            truncated=answer.truncated or bool(request.page_token) or len(steps) > limit,
        )

    def _place_of(self, node: Node) -> str:
        """The project a resource lies in; that of this client for everything else."""
        return "/".join(node.id.split("/")[:2]) if node.id.startswith("projects/") else self.project_name()


class RunCalls(_Nodes):
    """Runs, at `registry.runs`. Every method raises RegistryError.

    A run is given by its name, or its id in the project.
    """

    def record(
        self,
        run: str,
        *,
        inputs: Iterable[NodeLike] = (),
        outputs: Iterable[NodeLike] = (),
        **fields: Any,  # noqa: ANN401 -- checked by field
    ) -> lineage_pb2.Run:
        """The run; one that is known is replaced, with the edges it recorded.

        `fields` are those of the message: display_name, kind ("preprocessing", "training" or "evaluation"), outcome,
        system, uri, start_time, end_time, code, parameters and etag. Inputs and outputs are nodes, as at
        `registry.lineage`.
        """
        wanted = message(lineage_pb2.Run, fields, "run")
        wanted.inputs.extend(graph.node_to_wire(self.node(each)) for each in inputs)
        wanted.outputs.extend(graph.node_to_wire(self.node(each)) for each in outputs)
        parent, _, run_id = self.run_name(run).partition("/runs/")
        request = lineage_pb2.RecordRunRequest(parent=parent, run_id=run_id, run=wanted)
        return self._connection.write(self._connection.stubs.lineage.RecordRun, request)

    def get(self, run: str) -> lineage_pb2.Run:
        """One run."""
        request = lineage_pb2.GetRunRequest(name=self.run_name(run))
        return self._connection.read(self._connection.stubs.lineage.GetRun, request)

    def list(self, *, page_size: int = 0) -> Iterable[lineage_pb2.Run]:
        """The runs of the project, the newest first; fetched page by page."""
        parent = self.project_name()

        def fetch(token: str) -> lineage_pb2.ListRunsResponse:
            request = lineage_pb2.ListRunsRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.lineage.ListRuns, request)

        return Pages[lineage_pb2.Run](fetch, "runs")

    def delete(self, run: str, *, etag: str = "") -> None:
        """Delete a run with the edges it recorded."""
        request = lineage_pb2.DeleteRunRequest(name=self.run_name(run), etag=etag)
        self._connection.write(self._connection.stubs.lineage.DeleteRun, request)

    def run_name(self, run: str) -> str:
        """Resource name of a run in any form of this class."""
        return run if run.startswith("projects/") else f"{self.project_name()}/runs/{run}"


def _type(text: str) -> lineage_pb2.LineageNodeType.ValueType:
    kinds = lineage_pb2.LineageNodeType
    name = graph.TYPE + graph.PREFIXES.get(text.lower(), text.upper())
    if name not in kinds.keys() or not kinds.Value(name):  # noqa: SIM118 -- an enum is no mapping
        raise InvalidArgument(f"{text!r} is no type of nodes; one of {', '.join(graph.PREFIXES)}")
    return kinds.Value(name)
