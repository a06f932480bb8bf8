"""A lineage graph in the forms that other programs read: OpenLineage, W3C PROV-JSON, Graphviz and Mermaid."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry_grpc.client.lineage_graph import Edge, LineageGraph, Node

PRODUCER = "https://github.com/registry-grpc/registry-grpc"
_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_WORK = frozenset({"RUN", "PREPROCESSING_STEP"})
_ACTIVITIES = _WORK | {"DEPLOYMENT"}
_SHAPES = {"RUN": "box", "PREPROCESSING_STEP": "box", "MODEL_VERSION": "component", "DEPLOYMENT": "box3d"}


def to_dot(graph: LineageGraph) -> str:
    """A Graphviz digraph; arrows go the way the data went."""
    numbers = _numbered(graph)
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for node, number in numbers.items():
        label = _dot(f"{_title(node)}\n{_shown(node)}")
        bold = ", style=bold" if node == graph.root else ""
        lines.append(f"  n{number} [label={label}, shape={_SHAPES.get(node.type, 'ellipse')}{bold}];")
    for edge in graph.edges:
        ends = f"n{numbers[edge.upstream]} -> n{numbers[edge.downstream]}"
        lines.append(f"  {ends} [label={_dot(_words(edge.relation))}];")
    return "\n".join([*lines, "}"])


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def to_mermaid(graph: LineageGraph) -> str:
    """A Mermaid flowchart; arrows go the way the data went."""
    numbers = _numbered(graph)
    lines = ["flowchart LR"]
    for node, number in numbers.items():
        opening, closing = ("[[", "]]") if node.type in _ACTIVITIES else ("[", "]")
        lines.append(f'  n{number}{opening}"{_mermaid(_title(node))}<br/>{_mermaid(_shown(node))}"{closing}')
    arrows = (
        f"  n{numbers[edge.upstream]} -->|{_words(edge.relation)}| n{numbers[edge.downstream]}" for edge in graph.edges
    )
    return "\n".join((*lines, *arrows))


def _mermaid(text: str) -> str:
    """Everything but letters, digits and what stands in ids as an entity: nothing of it is markup."""
    return "".join(char if char.isalnum() or char in " ./@_-:" else f"#{ord(char)};" for char in text)


def to_prov(graph: LineageGraph) -> dict[str, Any]:
    """PROV-JSON: runs, steps and deployments are activities, everything else entities."""
    names = {node: f"mreg:{_title(node).replace(' ', '_')}/{quote(node.id, safe='')}" for node in _numbered(graph)}
    made: dict[str, Any] = {"prefix": {"mreg": "urn:registry-grpc:lineage:"}}
    for node, name in names.items():
        made.setdefault("activity" if node.type in _ACTIVITIES else "entity", {})[name] = _attributes(node)
    for at, edge in enumerate(graph.edges):
        relation, ends = _prov_relation(edge, names)
        made.setdefault(relation, {})[f"_:e{at}"] = {**ends, "mreg:relation": edge.relation, "mreg:origin": edge.origin}
    return made


def _attributes(node: Node) -> dict[str, Any]:
    said = {"prov:label": node.display_name or node.id, "mreg:type": node.type, "mreg:id": node.id}
    said |= {f"mreg:{key}": value for key, value in (("uri", node.uri), ("digest", node.digest)) if value}
    for key, value in node.properties.items():
        said[f"mreg:property/{quote(key, safe='')}"] = value
    if node.type in _ACTIVITIES:
        for key, name in (("start_time", "prov:startTime"), ("end_time", "prov:endTime")):
            if key in node.properties:
                said[name] = node.properties[key]
    return said


def _prov_relation(edge: Edge, names: Mapping[Node, str]) -> tuple[str, dict[str, str]]:
    down, up = names[edge.downstream], names[edge.upstream]
    match edge.downstream.type in _ACTIVITIES, edge.upstream.type in _ACTIVITIES:
        case True, True:
            return "wasInformedBy", {"prov:informed": down, "prov:informant": up}
        case True, False:
            return "used", {"prov:activity": down, "prov:entity": up}
        case False, True:
            return "wasGeneratedBy", {"prov:entity": down, "prov:activity": up}
    return "wasDerivedFrom", {"prov:generatedEntity": down, "prov:usedEntity": up}


def to_openlineage(graph: LineageGraph, namespace: str, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """OpenLineage run events, START and an end for each: of every run and step, and of what came from data without one.

    `namespace` is what jobs and data sets are in. A run without times has them `now`.
    """
    moment = _time(now or datetime.now(UTC))
    taken: dict[Node, list[Node]] = {}
    made: dict[Node, list[Node]] = {}
    for edge in graph.edges:
        if edge.downstream.type in _WORK:
            taken.setdefault(edge.downstream, []).append(edge.upstream)
        elif edge.upstream.type in _WORK:
            made.setdefault(edge.upstream, []).append(edge.downstream)
        else:
            # Nobody said which job it was: it is named after what it made.
            taken.setdefault(edge.downstream, []).append(edge.upstream)
            made.setdefault(edge.downstream, []).append(edge.downstream)
    events = []
    for node in _numbered(graph):
        if node in taken or node in made:
            events += _events(node, taken.get(node, ()), made.get(node, ()), namespace, moment)
    return events


def _events(
    node: Node, inputs: Iterable[Node], outputs: Iterable[Node], namespace: str, moment: str
) -> list[dict[str, Any]]:
    taken = list(dict.fromkeys(inputs))
    run_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{PRODUCER}/{namespace}/{node}"))
    job: dict[str, Any] = {"namespace": namespace, "name": str(node), "facets": {}}
    code = next((each for each in taken if each.type == "CODE_REVISION"), None)
    if code is not None:
        job["facets"]["sourceCodeLocation"] = _code_facet(code)
    same = {"producer": PRODUCER, "schemaURL": _EVENT, "run": {"runId": run_id, "facets": {}}, "job": job}
    failed = node.properties.get("outcome") == "failed"
    begin, end = (node.properties.get(key, moment) for key in ("start_time", "end_time"))
    return [
        {"eventType": "START", "eventTime": begin, **same, "inputs": [], "outputs": []},
        {
            "eventType": "FAIL" if failed else "COMPLETE",
            "eventTime": end,
            **same,
            "inputs": [_dataset(each, namespace) for each in taken if each.type != "CODE_REVISION"],
            "outputs": [_dataset(each, namespace) for each in dict.fromkeys(outputs)],
        },
    ]


def _dataset(node: Node, namespace: str) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    name, _, version = node.id.rpartition("@") if node.type == "DATASET_VERSION" else (node.id, "", "")
    if version and name:
        facets["version"] = _facet("1-0-1", "DatasetVersionDatasetFacet") | {"datasetVersion": version}
    if "://" in node.uri:
        facets["dataSource"] = _facet("1-0-1", "DatasourceDatasetFacet") | {"name": node.id, "uri": node.uri}
    return {"namespace": namespace, "name": f"{str(node).partition(':')[0]}:{name or version}", "facets": facets}


def _code_facet(code: Node) -> dict[str, Any]:
    repository, _, revision = code.id.rpartition("@")
    said = {"type": "git", "url": repository or code.id, "version": revision}
    return _facet("1-1-0", "SourceCodeLocationJobFacet") | said


def _facet(version: str, name: str) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{_FACETS}/{version}/{name}.json#/$defs/{name}"}


def _numbered(graph: LineageGraph) -> dict[Node, int]:
    """Every node there is an edge to, or that was reached; the root first."""
    ends = [end for edge in graph.edges for end in (edge.downstream, edge.upstream)]
    return {node: at for at, node in enumerate(dict.fromkeys([graph.root, *graph.nodes, *ends]))}


def _title(node: Node) -> str:
    return node.type.lower().replace("_", " ")


def _shown(node: Node) -> str:
    return _line(node.display_name or node.id)


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _words(relation: str) -> str:
    return relation.lower().replace("_", " ")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def children_of(graph: LineageGraph) -> Mapping[Node, Sequence[tuple[Node, Edge]]]:
    """What is one step further from each node, in order."""
    found: dict[Node, list[tuple[Node, Edge]]] = {}
    for edge in graph.edges:
        near, far = (edge.upstream, edge.downstream) if graph.downstream else (edge.downstream, edge.upstream)
        found.setdefault(near, []).append((far, edge))
    return found
