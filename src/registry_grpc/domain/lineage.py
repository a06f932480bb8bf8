"""What came from what: nodes, the edges between them, and the runs that say so.

An edge leads from what came later, downstream, to what it came from, upstream. What a caller says never closes a cycle;
what runs where is not the caller's to choose, so whoever walks the graph must end on one all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.lineage_names import LineageName, RunName
from registry_grpc.domain.metadata import CodeRevision, Parameter

MAX_NODE_ID = 512
"""Characters."""
MAX_PROPERTIES = 32
MAX_LINKS = 1000
"""Of one call; as many as a run has inputs, or outputs."""
DEFAULT_DEPTH = 10
MAX_DEPTH = 50
MAX_STEP_EDGES = 100
"""Edges that are told of one node that was reached."""
LINK = "link"
PROVENANCE = "provenance"
COPY = "copy"
EVIDENCE = "evidence"
DEPLOYMENT = "deployment"


class NodeType(StrEnum):
    """Kinds of nodes."""

    DATA_SOURCE = "data_source"
    DATASET_VERSION = "dataset_version"
    PREPROCESSING_STEP = "preprocessing_step"
    FEATURE_SET = "feature_set"
    CODE_REVISION = "code_revision"
    RUN = "run"
    EXTERNAL_MODEL = "external_model"
    MODEL_VERSION = "model_version"
    EVALUATION_REPORT = "evaluation_report"
    DEPLOYMENT = "deployment"


class LineageRelation(StrEnum):
    """How a node came from another."""

    DERIVED_FROM = "derived_from"
    TRAINED_ON = "trained_on"
    VALIDATED_ON = "validated_on"
    TESTED_ON = "tested_on"
    PRODUCED_BY = "produced_by"
    USED = "used"
    BUILT_WITH = "built_with"
    FINE_TUNED_FROM = "fine_tuned_from"
    DISTILLED_FROM = "distilled_from"
    QUANTISED_FROM = "quantised_from"
    CONVERTED_FROM = "converted_from"
    HAS_MEMBER = "has_member"
    COPIED_FROM = "copied_from"
    EVALUATES = "evaluates"
    RUNS = "runs"


class LineageDirection(StrEnum):
    """Which way to go."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class RunKind(StrEnum):
    """Kinds of runs."""

    PREPROCESSING = "preprocessing"
    TRAINING = "training"
    EVALUATION = "evaluation"


class RunOutcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Node:
    """Something in the graph. Two nodes of a project are the same when type and id are."""

    type: NodeType
    id: str
    display_name: str = field(default="", compare=False)
    uri: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)
    properties: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.type.value} {self.id}"

    @property
    def described(self) -> bool:
        """Whether anything is said of it."""
        return bool(self.display_name or self.uri or self.digest or self.properties)


@dataclass(frozen=True, slots=True)
class Edge:
    """That one node came from another."""

    downstream: Node
    upstream: Node
    relation: LineageRelation
    origin: str = LINK
    """Who says so: a word of this file, or the name of a run."""
    create_time: datetime | None = None
    """None for what follows from other resources, as an empty creator."""
    creator: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A node that was reached."""

    node: Node
    distance: int
    edges: tuple[Edge, ...] = ()
    """Those that lead to it from nodes that are nearer, at most `MAX_STEP_EDGES`."""


@dataclass(frozen=True, slots=True)
class Links:
    """Edges that were linked, or taken back, in one call: what the event log says of it."""

    name: LineageName
    links: tuple[Edge, ...]
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of training, preparation or evaluation, with what it took and what it made."""

    uid: str
    name: RunName
    display_name: str = ""
    kind: RunKind | None = None
    outcome: RunOutcome | None = None
    system: str = ""
    uri: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    code: CodeRevision | None = None
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[Node, ...] = ()
    outputs: tuple[Node, ...] = ()
    creator: str = ""
    create_time: datetime
    update_time: datetime
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


def run_not_found(name: RunName) -> RegistryError:
    """The error for an absent run."""
    return RegistryError(Reason.RUN_NOT_FOUND, f"{name} does not exist; list the runs of {name.parent}", resource=name)


def node_not_found(node: Node, field: str = "node") -> RegistryError:
    """The error for an absent node; the same for one the caller may not see."""
    return RegistryError(
        Reason.NODE_NOT_FOUND,
        f"{field}: there is no {node.type.name} {node.id!r}; is type and id written as the contract says?",
        type=node.type.name,
        id=node.id,
    )
