"""Graphs of what came from what, for tests over a store, and the same in plain Python to compare with."""

from registry_grpc.domain.lineage import Edge, LineageDirection, LineageRelation, Node, NodeType
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.domain.lineage_rules import linked
from registry_grpc.domain.metadata import Metadata, Provenance
from registry_grpc.domain.search import Visible
from registry_grpc.ports.lineage import Walk
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.lineage import GetLineage, LinkLineage, UnlinkLineage
from registry_grpc.usecases.runs import DeleteRun, RecordRun
from registry_grpc.usecases.versions import CreateVersion, UpdateVersion
from tests.kit.running import DAY, World, call

UP, DOWN = LineageDirection.UPSTREAM, LineageDirection.DOWNSTREAM
EVERYTHING = Visible(everywhere=True)


def data(name: str, **said) -> Node:
    return Node(NodeType.DATASET_VERSION, name, **said)


def version_node(version) -> Node:
    return Node(NodeType.MODEL_VERSION, str(version.name))


def deployment_node(deployment) -> Node:
    return Node(NodeType.DEPLOYMENT, str(deployment.name))


def link(downstream: Node, upstream: Node, relation: LineageRelation | None = None) -> Edge:
    return linked(downstream, upstream, relation, "links[0]")


class Graph(World):
    """A world with a graph in it."""

    def draft(self, model=None, **provenance):
        fields = {"metadata": Metadata(provenance=Provenance(**provenance))}
        return CreateVersion(self.store, RandomIds(), DAY)(call(), (model or self.model).name, fields).get()

    def say(self, version, **provenance):
        changes = {"metadata": {"provenance": Provenance(**provenance)}}
        return UpdateVersion(self.store, DAY)(call(), version.name, "", changes).get()

    def link(self, *edges):
        return LinkLineage(self.store)(call(), self.project, list(edges)).get()

    def unlink(self, *edges):
        return UnlinkLineage(self.store)(call(), self.project, list(edges)).get()

    def record(self, run_id="r", etag="", **fields):
        name = RunName(self.project.project, run_id)
        return RecordRun(self.store, RandomIds())(call(), name, fields, etag).get()

    def forget(self, run, etag=""):
        DeleteRun(self.store)(call(), run.name, etag)

    def reach(self, node, direction, *, depth=50, types=(), visible=EVERYTHING, page_size=1000):
        """Every step, page by page."""
        return self.look(node, direction, depth=depth, types=types, visible=visible, page_size=page_size)[1]

    def look(self, node, direction, *, depth=50, types=(), visible=EVERYTHING, page_size=1000):
        """The root, every step, and whether something lies further."""
        steps, after = [], None
        while True:
            root, found = GetLineage(self.store)(
                self.project, node, Walk(direction, depth, frozenset(types)), visible, after=after, limit=page_size
            )
            steps += found.steps
            if len(found.steps) < page_size:
                return root, steps, found.truncated
            last = found.steps[-1]
            after = (last.distance, last.node.type.value, last.node.id)

    def names(self, node, direction, **wanted):
        return [step.node.id for step in self.reach(node, direction, **wanted)]


def reached(edges, node, direction, depth):
    """Node to distance, by a breadth-first search."""
    distances, queue = {node: 0}, [node]
    for here in queue:
        for edge in edges:
            near, far = (edge.downstream, edge.upstream) if direction is UP else (edge.upstream, edge.downstream)
            if near == here and far not in distances and distances[here] < depth:
                distances[far] = distances[here] + 1
                queue.append(far)
    return {each: distance for each, distance in distances.items() if distance}


def in_order(distances):
    return sorted(distances.items(), key=lambda each: (each[1], each[0].type.value, each[0].id.encode()))
