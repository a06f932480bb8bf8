"""Which edges there may be, and what resources say of themselves: provenance and runs as nodes and edges."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.evidence_names import EvidenceName
from registry_grpc.domain.lineage import COPY, MAX_NODE_ID, PROVENANCE, Edge, LineageRelation, Node, NodeType
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.domain.metadata import DatasetRole, Relation
from registry_grpc.domain.names import DeploymentName, VersionName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registry_grpc.domain.metadata import (
        CodeRevision,
        DatasetVersion,
        ParentModel,
        PreprocessingStep,
        Provenance,
        TrainingRun,
    )
    from registry_grpc.domain.resources import Version

Resource = VersionName | DeploymentName | RunName | EvidenceName
T, R = NodeType, LineageRelation
_MODELS = frozenset({T.MODEL_VERSION, T.EXTERNAL_MODEL})
_DATA = frozenset({T.DATA_SOURCE, T.DATASET_VERSION, T.FEATURE_SET})
_WORK = frozenset({T.RUN, T.PREPROCESSING_STEP})
_ALL = frozenset(NodeType)
_ENDS: Mapping[LineageRelation, tuple[frozenset[NodeType], frozenset[NodeType]]] = {
    R.DERIVED_FROM: (_ALL, _ALL),
    R.TRAINED_ON: (_MODELS, _DATA),
    R.VALIDATED_ON: (_MODELS, _DATA),
    R.TESTED_ON: (_MODELS, _DATA),
    R.PRODUCED_BY: (_ALL, _WORK),
    R.USED: (_WORK, _ALL),
    R.BUILT_WITH: (_ALL, frozenset({T.CODE_REVISION})),
    R.FINE_TUNED_FROM: (_MODELS, _MODELS),
    R.DISTILLED_FROM: (_MODELS, _MODELS),
    R.QUANTISED_FROM: (_MODELS, _MODELS),
    R.CONVERTED_FROM: (_MODELS, _MODELS),
    R.HAS_MEMBER: (_MODELS, _MODELS),
    R.COPIED_FROM: (_MODELS, _MODELS),
    R.EVALUATES: (frozenset({T.EVALUATION_REPORT}), _ALL),
    R.RUNS: (frozenset({T.DEPLOYMENT}), _MODELS),
}
"""Relation to the types that may be downstream and upstream of it."""
_SUGGESTED = (
    (frozenset({T.DEPLOYMENT}), _MODELS, R.RUNS),
    (frozenset({T.EVALUATION_REPORT}), _MODELS, R.EVALUATES),
    (_WORK, _ALL, R.USED),
    (_ALL, _WORK, R.PRODUCED_BY),
    (_ALL, frozenset({T.CODE_REVISION}), R.BUILT_WITH),
    (_MODELS, _DATA, R.TRAINED_ON),
)
"""Types downstream and upstream to the relation between them; the first that fits."""
_OF_PARENT = {
    Relation.FINE_TUNED: R.FINE_TUNED_FROM,
    Relation.DISTILLED: R.DISTILLED_FROM,
    Relation.QUANTISED: R.QUANTISED_FROM,
    Relation.CONVERTED: R.CONVERTED_FROM,
    Relation.ENSEMBLE_MEMBER: R.HAS_MEMBER,
}
_OF_ROLE = {
    None: R.TRAINED_ON,
    DatasetRole.TRAIN: R.TRAINED_ON,
    DatasetRole.VALIDATION: R.VALIDATED_ON,
    DatasetRole.TEST: R.TESTED_ON,
}
_HASHED = 32
"""Characters of a digest that keep apart what was cut off."""


def relation_between(downstream: NodeType, upstream: NodeType) -> LineageRelation:
    """How what is of these types comes from each other, where nobody says it."""
    for below, above, relation in _SUGGESTED:
        if downstream in below and upstream in above:
            return relation
    return R.DERIVED_FROM


def linked(downstream: Node, upstream: Node, relation: LineageRelation | None, path: str) -> Edge:
    """The edge a caller asks for.

    Raises: INVALID_FIELD for an edge to itself, and for types between which there is no such relation.
    """
    if downstream == upstream:
        raise invalid_field(path, f"leads from {downstream} to itself; nothing comes from itself")
    relation = relation or relation_between(downstream.type, upstream.type)
    below, above = _ENDS[relation]
    if downstream.type not in below or upstream.type not in above:
        raise invalid_field(
            f"{path}.relation",
            f"{relation.name} does not lead from {downstream.type.name} to {upstream.type.name}; leave it out for "
            f"{relation_between(downstream.type, upstream.type).name}",
        )
    return Edge(downstream, upstream, relation)


def edges_of_version(version: Version) -> tuple[Edge, ...]:
    """What its provenance says, and what it is a copy of."""
    edges: list[Edge] = []
    if version.copied_from:
        node, source = (Node(T.MODEL_VERSION, name) for name in (str(version.name), version.copied_from))
        edges.append(Edge(node, source, R.COPIED_FROM, COPY))
    if version.metadata.provenance is not None:
        edges += edges_of_provenance(version.name, version.metadata.provenance)
    return tuple(edges)


def edges_of_provenance(name: VersionName, provenance: Provenance) -> tuple[Edge, ...]:
    """What a version says of where it came from."""
    return tuple(dict.fromkeys(_edges_of_provenance(Node(T.MODEL_VERSION, str(name)), provenance)))


def _edges_of_provenance(node: Node, provenance: Provenance) -> Iterator[Edge]:
    if provenance.training_run is not None and (run := _run(provenance.training_run)):
        yield Edge(node, run, R.PRODUCED_BY, PROVENANCE)
    if provenance.code is not None and (code := code_node(provenance.code)):
        yield Edge(node, code, R.BUILT_WITH, PROVENANCE)
    for data in provenance.training_data:
        yield Edge(node, _dataset(data), _OF_ROLE[data.role], PROVENANCE)
    for step in provenance.preprocessing:
        made = _step(step)
        yield Edge(node, made, R.PRODUCED_BY, PROVENANCE)
        if step.code is not None and (code := code_node(step.code)):
            yield Edge(made, code, R.USED, PROVENANCE)
    for parent in provenance.parents:
        yield Edge(node, _parent(parent), _OF_PARENT[parent.relation], PROVENANCE)


def edges_of_run(
    name: str, inputs: Sequence[Node], outputs: Sequence[Node], code: CodeRevision | None
) -> tuple[Edge, ...]:
    """What a run used and what it made.

    Raises: INVALID_FIELD where it is among its own inputs or outputs.
    """
    node = Node(T.RUN, name)
    for field, nodes in (("inputs", inputs), ("outputs", outputs)):
        if node in nodes:
            raise invalid_field(f"run.{field}[{nodes.index(node)}]", f"is the run itself, {name}; leave it out")
    ran = code_node(code) if code is not None else None
    used = (*inputs, *((ran,) if ran else ()))
    edges = [Edge(node, each, R.USED, name) for each in used]
    edges += [Edge(each, node, R.PRODUCED_BY, name) for each in outputs]
    return tuple(dict.fromkeys(edges))


def code_node(code: CodeRevision) -> Node | None:
    """`{repository}@{revision}`; None when neither is known."""
    if not code.repository and not code.revision:
        return None
    properties = {"path": code.path} if code.path else {}
    return Node(T.CODE_REVISION, _named(code.repository, code.revision), properties=properties)


def _run(run: TrainingRun) -> Node | None:
    if not run.id and not run.uri:
        return None
    times = {"start_time": run.start_time, "end_time": run.end_time}
    properties = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items() if time is not None}
    if run.hardware:
        properties["hardware"] = run.hardware
    return Node(T.RUN, _fitting(run.id or run.uri), uri=run.uri, properties=properties)


def _dataset(data: DatasetVersion) -> Node:
    return Node(T.DATASET_VERSION, _named(data.name, data.version), uri=data.uri, digest=data.digest)


def _step(step: PreprocessingStep) -> Node:
    return Node(T.PREPROCESSING_STEP, _named(step.name, step.version))


def _parent(parent: ParentModel) -> Node:
    if parent.version:
        return Node(T.MODEL_VERSION, parent.version)
    return Node(T.EXTERNAL_MODEL, _fitting(parent.uri or parent.digest), uri=parent.uri, digest=parent.digest)


def _named(name: str, version: str) -> str:
    return _fitting(f"{name}@{version}" if version else name)


def _fitting(text: str) -> str:
    """`text`, its end replaced by a digest of the whole where it is too long for an id."""
    if len(text) <= MAX_NODE_ID:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASHED]
    return f"{text[: MAX_NODE_ID - _HASHED - 1]}#{digest}"


def resource_of(node: Node, path: str = "node") -> Resource | None:
    """The resource a node is; None for what is known by its id alone.

    Raises: INVALID_RESOURCE_NAME.
    """
    if node.type is T.MODEL_VERSION:
        return VersionName.parse(node.id, f"{path}.id")
    if node.type is T.DEPLOYMENT:
        return DeploymentName.parse(node.id, f"{path}.id")
    if not node.id.startswith("projects/"):
        return None
    if node.type is T.RUN:
        return RunName.parse(node.id, f"{path}.id")
    if node.type is T.EVALUATION_REPORT:
        return EvidenceName.parse(node.id, f"{path}.id")
    return None


def require_in(project: str, node: Node, path: str) -> None:
    """Refuse a node that is a resource of another project.

    Raises: INVALID_FIELD, INVALID_RESOURCE_NAME.
    """
    resource = resource_of(node, path)
    if resource is not None and resource.project != project:
        raise invalid_field(f"{path}.id", f"lies in project {resource.project!r}, not in {project!r} of the call")
