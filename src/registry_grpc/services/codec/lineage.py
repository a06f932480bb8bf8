"""Nodes, edges and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.lineage import (
    LineageDirection,
    LineageRelation,
    Node,
    NodeType,
    RunKind,
    RunOutcome,
)
from registry_grpc.domain.lineage_rules import linked
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.metadata import parameters_from_wire, parameters_to_wire
from registry_grpc.services.codec.provenance import code_from_wire, code_to_wire
from registry_grpc.services.codec.times import optional_time_from_wire, optional_time_to_wire, time_to_wire
from registry_grpc.v1 import lineage_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_grpc.domain.lineage import Edge, Run, Step

TYPE = EnumCodec(NodeType, lineage_pb2.LineageNodeType, "LINEAGE_NODE_TYPE_")
RELATION = EnumCodec(LineageRelation, lineage_pb2.LineageRelation, "LINEAGE_RELATION_")
DIRECTION = EnumCodec(LineageDirection, lineage_pb2.LineageDirection, "LINEAGE_DIRECTION_")
KIND = EnumCodec(RunKind, lineage_pb2.Run.Kind, "KIND_")
OUTCOME = EnumCodec(RunOutcome, lineage_pb2.Run.Outcome, "OUTCOME_")


def node_to_wire(node: Node) -> lineage_pb2.LineageNode:
    """The node with what is known of it."""
    return lineage_pb2.LineageNode(
        type=TYPE.to_wire(node.type),
        id=node.id,
        display_name=node.display_name,
        uri=node.uri,
        digest=node.digest,
        properties=node.properties,
    )


def node_from_wire(message: lineage_pb2.LineageNode, path: str, *, whole: bool = False) -> Node:
    """Type and id, and with `whole` what is said of it.

    Raises: INVALID_FIELD.
    """
    kind = TYPE.from_wire(message.type, f"{path}.type")
    if not whole:
        return Node(kind, message.id)
    return Node(kind, message.id, message.display_name, message.uri, message.digest, dict(message.properties))


def edge_to_wire(edge: Edge) -> lineage_pb2.LineageEdge:
    """The edge, its ends by type and id."""
    return lineage_pb2.LineageEdge(
        downstream=_end(edge.downstream),
        upstream=_end(edge.upstream),
        relation=RELATION.to_wire(edge.relation),
        origin=edge.origin,
        create_time=optional_time_to_wire(edge.create_time),
        creator=edge.creator,
    )


def _end(node: Node) -> lineage_pb2.LineageNode:
    return lineage_pb2.LineageNode(type=TYPE.to_wire(node.type), id=node.id)


def links_from_wire(messages: Iterable[lineage_pb2.LineageEdge]) -> list[Edge]:
    """What a caller links, or takes back.

    Raises: INVALID_FIELD.
    """
    edges = []
    for at, message in enumerate(messages):
        path = f"links[{at}]"
        downstream = node_from_wire(message.downstream, f"{path}.downstream")
        upstream = node_from_wire(message.upstream, f"{path}.upstream")
        relation = RELATION.optional_from_wire(message.relation, f"{path}.relation")
        edges.append(linked(downstream, upstream, relation, path))
    return edges


def step_to_wire(step: Step) -> lineage_pb2.LineageStep:
    """A node that was reached."""
    return lineage_pb2.LineageStep(
        node=node_to_wire(step.node),
        distance=step.distance,
        edges=[edge_to_wire(edge) for edge in step.edges],
    )


def run_to_wire(run: Run) -> lineage_pb2.Run:
    """The resource."""
    return lineage_pb2.Run(
        name=str(run.name),
        uid=run.uid,
        display_name=run.display_name,
        kind=KIND.to_wire(run.kind),
        outcome=OUTCOME.to_wire(run.outcome),
        system=run.system,
        uri=run.uri,
        start_time=optional_time_to_wire(run.start_time),
        end_time=optional_time_to_wire(run.end_time),
        code=code_to_wire(run.code) if run.code is not None else None,
        parameters=parameters_to_wire(run.parameters),
        inputs=[node_to_wire(node) for node in run.inputs],
        outputs=[node_to_wire(node) for node in run.outputs],
        creator=run.creator,
        create_time=time_to_wire(run.create_time),
        update_time=time_to_wire(run.update_time),
        etag=run.etag,
        revision=run.revision,
    )


def run_fields(message: lineage_pb2.Run) -> dict[str, Any]:
    """Fields of `Run` that a caller may set.

    Raises: INVALID_FIELD.
    """
    return {
        "display_name": message.display_name,
        "kind": KIND.optional_from_wire(message.kind, "run.kind"),
        "outcome": OUTCOME.optional_from_wire(message.outcome, "run.outcome"),
        "system": message.system,
        "uri": message.uri,
        "start_time": optional_time_from_wire(message, "start_time", "run"),
        "end_time": optional_time_from_wire(message, "end_time", "run"),
        "code": code_from_wire(message.code) if message.HasField("code") else None,
        "parameters": parameters_from_wire(message.parameters, "run.parameters"),
        "inputs": _nodes(message.inputs, "run.inputs"),
        "outputs": _nodes(message.outputs, "run.outputs"),
    }


def _nodes(messages: Iterable[lineage_pb2.LineageNode], path: str) -> tuple[Node, ...]:
    found = [node_from_wire(message, f"{path}[{at}]", whole=True) for at, message in enumerate(messages)]
    return tuple(dict.fromkeys(found))
