"""Trees of lineage, and what a table shows of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.cli.output import Columns, cell, short_enum, when
from registry_grpc.cli.views import last, name
from registry_grpc.client.lineage_exports import children_of
from registry_grpc.v1 import lineage_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.client.lineage_graph import Edge, LineageGraph, Node

_TOLD = ("state", "stage", "outcome", "environment", "cluster")


def tree(graph: LineageGraph) -> str:
    """The graph as a tree; what was shown already is named again without what comes behind it."""
    return "\n".join(_lines(graph))


def _lines(graph: LineageGraph) -> Iterator[str]:
    children, seen = children_of(graph), {graph.root}
    yield _shown(graph.root)
    # A stack and no recursion: a chain is as long as the depth that was asked for.
    waiting = [("", child, edge, at == 0) for at, (child, edge) in enumerate(reversed(children.get(graph.root, ())))]
    while waiting:
        indent, node, edge, is_last = waiting.pop()
        again = node in seen
        seen.add(node)
        yield f"{indent}{'└── ' if is_last else '├── '}{_relation(edge)} {_shown(node)}{' …' if again else ''}"
        if not again:
            below = indent + ("    " if is_last else "│   ")
            following = enumerate(reversed(children.get(node, ())))
            waiting += [(below, child, led, at == 0) for at, (child, led) in following]


def _relation(edge: Edge) -> str:
    return f"[{edge.relation.lower().replace('_', ' ')}]"


def _shown(node: Node) -> str:
    told = [f"{key}={node.properties[key]}" for key in _TOLD if key in node.properties]
    titled = f" “{node.display_name}”" if node.display_name else ""
    return cell(f"{node}{titled} ({', '.join(told)})" if told else f"{node}{titled}")


def plain(graph: LineageGraph) -> dict[str, Any]:
    """The graph for programs."""
    nodes = [graph.root, *graph.nodes]
    return {
        "root": {"type": graph.root.type, "id": graph.root.id},
        "direction": "DOWNSTREAM" if graph.downstream else "UPSTREAM",
        "truncated": graph.truncated,
        "nodes": [_node(node) | {"distance": graph.distances.get(node, 0)} for node in nodes],
        "edges": [
            {
                "downstream": {"type": edge.downstream.type, "id": edge.downstream.id},
                "upstream": {"type": edge.upstream.type, "id": edge.upstream.id},
                "relation": edge.relation,
                "origin": edge.origin,
            }
            for edge in graph.edges
        ],
    }


def _node(node: Node) -> dict[str, Any]:
    said = {
        "type": node.type,
        "id": node.id,
        "display_name": node.display_name,
        "uri": node.uri,
        "digest": node.digest,
        "properties": dict(node.properties),
    }
    return {key: value for key, value in said.items() if value}


RUNS: Columns = {
    "run": lambda run: last(run.name),
    "kind": lambda run: short_enum(lineage_pb2.Run.Kind, run.kind, "KIND_") if run.kind else "",
    "outcome": lambda run: short_enum(lineage_pb2.Run.Outcome, run.outcome, "OUTCOME_") if run.outcome else "",
    "system": lambda run: run.system,
    "inputs": lambda run: len(run.inputs),
    "outputs": lambda run: len(run.outputs),
    "recorded": lambda run: when(run, "update_time"),
    "by": lambda run: run.creator,
}
RUN: Columns = {
    "name": name,
    "display name": lambda run: run.display_name,
    **{heading: RUNS[heading] for heading in ("kind", "outcome", "system")},
    "uri": lambda run: run.uri,
    "code": lambda run: f"{run.code.repository}@{run.code.revision}" if run.HasField("code") else "",
    "took": lambda run: [each.id for each in run.inputs],
    "made": lambda run: [each.id for each in run.outputs],
    "from": lambda run: when(run, "start_time"),
    "to": lambda run: when(run, "end_time"),
    "recorded": lambda run: when(run, "update_time"),
    "by": lambda run: run.creator,
    "etag": lambda run: run.etag,
}
