"""A part of the lineage graph as plain values, and the texts by which people name its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.v1 import lineage_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIXES: Mapping[str, str] = {
    "source": "DATA_SOURCE",
    "dataset": "DATASET_VERSION",
    "step": "PREPROCESSING_STEP",
    "features": "FEATURE_SET",
    "code": "CODE_REVISION",
    "run": "RUN",
    "external": "EXTERNAL_MODEL",
    "version": "MODEL_VERSION",
    "report": "EVALUATION_REPORT",
    "deployment": "DEPLOYMENT",
}
"""Word before the colon to the type of the node."""
_WORDS = {kind: word for word, kind in PREFIXES.items()}
TYPE, RELATION = "LINEAGE_NODE_TYPE_", "LINEAGE_RELATION_"
_RESOURCES = {"/runs/": "RUN", "/deployments/": "DEPLOYMENT", "/evidence/": "EVALUATION_REPORT"}


@dataclass(frozen=True, slots=True)
class Node:
    """A node; the same as another one when type and id are."""

    type: str
    """`DATASET_VERSION`, as the contract names it."""
    id: str
    display_name: str = field(default="", compare=False)
    uri: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)
    properties: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{_WORDS.get(self.type, self.type.lower())}:{self.id}"


@dataclass(frozen=True, slots=True)
class Edge:
    """That `downstream` came from `upstream`."""

    downstream: Node
    upstream: Node
    relation: str
    """`TRAINED_ON`, as the contract names it."""
    origin: str


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """What was reached from one node, the nearest first."""

    root: Node
    downstream: bool
    """Which way was gone."""
    nodes: Sequence[Node]
    """Without the root."""
    distances: Mapping[Node, int]
    edges: Sequence[Edge]
    truncated: bool
    """Something lies further than the depth."""


def node_from_wire(message: lineage_pb2.LineageNode) -> Node:
    """The node; of a type this client does not know its number."""
    kinds = lineage_pb2.LineageNodeType
    known = message.type in kinds.values()
    kind = kinds.Name(message.type).removeprefix(TYPE) if known else str(message.type)
    return Node(kind, message.id, message.display_name, message.uri, message.digest, dict(message.properties))


def node_to_wire(node: Node) -> lineage_pb2.LineageNode:
    """The message.

    Raises: InvalidArgument for a type this client does not know.
    """
    if TYPE + node.type not in lineage_pb2.LineageNodeType.keys():  # noqa: SIM118 -- an enum is no mapping
        raise InvalidArgument(f"{node.type!r} is no type of nodes; one of {', '.join(PREFIXES.values())}")
    return lineage_pb2.LineageNode(
        type=lineage_pb2.LineageNodeType.Value(TYPE + node.type),
        id=node.id,
        display_name=node.display_name,
        uri=node.uri,
        digest=node.digest,
        properties=node.properties,
    )


def relation_to_wire(relation: str) -> lineage_pb2.LineageRelation.ValueType:
    """The number; 0 for an empty text.

    Raises: InvalidArgument.
    """
    name = RELATION + (relation.upper() or "UNSPECIFIED")
    kinds = lineage_pb2.LineageRelation
    if name not in kinds.keys():  # noqa: SIM118 -- an enum is no mapping
        known = ", ".join(each.removeprefix(RELATION).lower() for each in kinds.keys() if kinds.Value(each))  # noqa: SIM118
        raise InvalidArgument(f"relation {relation!r} is none of {known}")
    return kinds.Value(name)


def edge_from_wire(message: lineage_pb2.LineageEdge) -> Edge:
    """The edge."""
    kinds = lineage_pb2.LineageRelation
    known = message.relation in kinds.values()
    relation = kinds.Name(message.relation).removeprefix(RELATION) if known else str(message.relation)
    return Edge(node_from_wire(message.downstream), node_from_wire(message.upstream), relation, message.origin)


def graph_of(
    root: lineage_pb2.LineageNode, steps: Iterable[lineage_pb2.LineageStep], *, downstream: bool, truncated: bool
) -> LineageGraph:
    """The graph of all pages; ends of edges have all that is known of them."""
    start = node_from_wire(root)
    known, distances, edges = {start: start}, {}, []
    for step in steps:
        node = node_from_wire(step.node)
        known[node], distances[node] = node, step.distance
        edges += [edge_from_wire(each) for each in step.edges]
    whole = [
        Edge(
            known.get(edge.downstream, edge.downstream),
            known.get(edge.upstream, edge.upstream),
            edge.relation,
            edge.origin,
        )
        for edge in dict.fromkeys(edges)
    ]
    return LineageGraph(start, downstream, list(distances), distances, whole, truncated)


def parse_node(text: str) -> Node | None:
    """A node from `dataset:churn@3` or a resource name; None for what may be a reference to a version.

    Raises: InvalidArgument for a prefix without an id.
    """
    word, colon, rest = text.partition(":")
    if colon and word in PREFIXES:
        if not rest:
            raise InvalidArgument(f"{text!r} names no node; write {word}:ID")
        return None if word == "version" and not rest.startswith("projects/") else Node(PREFIXES[word], rest)
    if text.startswith("projects/"):
        return next((Node(kind, text) for part, kind in _RESOURCES.items() if part in text), None)
    return None
