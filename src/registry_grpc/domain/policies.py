"""Policies: what a version must fulfil to come into a stage. Rules are values; `evaluation` holds versions to them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.governance_names import PolicyName
from registry_grpc.domain.metadata import Direction

if TYPE_CHECKING:
    from registry_grpc.domain.names import ModelName

MAX_POLICIES = 100
"""Of a project: every promotion in it reads them."""
MAX_RULES = 50
MAX_PATHS = 50
MAX_WINDOWS = 50
MAX_APPROVALS = 10
MAX_EXPRESSION_CHARS = 4096
MAX_EXPRESSIONS = 20
"""Of a policy: each may take a tenth of a second at the worst."""


class Comparison(StrEnum):
    """How a value stands to a bound."""

    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class RequiredFields:
    """Fields that are not empty."""

    paths: tuple[str, ...]
    kind: Literal["required_fields"] = "required_fields"


@dataclass(frozen=True, slots=True)
class MetricSelector:
    """Which value of a metric is meant; empty means any."""

    metric: str
    dataset: str = ""
    dataset_version: str = ""
    slice: str = ""
    """Empty means the whole."""


@dataclass(frozen=True, slots=True)
class MetricBound:
    """A metric within a bound."""

    metric: MetricSelector
    comparison: Comparison
    bound: float
    kind: Literal["metric"] = "metric"


@dataclass(frozen=True, slots=True)
class MetricAgainstHolder:
    """A metric not worse than the holder's."""

    metric: MetricSelector
    direction: Direction | None = None
    relative_tolerance: float = 0.0
    absolute_tolerance: float = 0.0
    holder_required: bool = False
    kind: Literal["metric_against_holder"] = "metric_against_holder"


@dataclass(frozen=True, slots=True)
class EarlierStage:
    """Time spent in an earlier stage."""

    stage: str
    soak_time: timedelta = timedelta(0)
    kind: Literal["earlier_stage"] = "earlier_stage"


@dataclass(frozen=True, slots=True)
class CompatibleSignature:
    """Callers of the holder can go on."""

    kind: Literal["compatible_signature"] = "compatible_signature"


@dataclass(frozen=True, slots=True)
class GrowingLabel:
    """The version label is greater than the holder's."""

    kind: Literal["growing_label"] = "growing_label"


@dataclass(frozen=True, slots=True)
class RequiredApprovals:
    """Distinct people who say yes."""

    count: int
    roles: tuple[str, ...] = ()
    """Names `roles/{role}`; empty for whoever may approve."""
    max_age: timedelta | None = None
    kind: Literal["approvals"] = "approvals"


@dataclass(frozen=True, slots=True)
class RequiredSignature:
    """A signature that was found valid."""

    trusted_signers: tuple[str, ...] = ()
    kind: Literal["signature"] = "signature"


@dataclass(frozen=True, slots=True)
class RequiredEvidence:
    """Evidence that passed."""

    evidence_kind: str
    tool: str = ""
    max_age: timedelta | None = None
    reporters: tuple[str, ...] = ()
    kind: Literal["evidence"] = "evidence"


@dataclass(frozen=True, slots=True)
class AllowedFormats:
    """Formats its files may have."""

    formats: tuple[str, ...] = ()
    no_executable: bool = False
    kind: Literal["formats"] = "formats"


@dataclass(frozen=True, slots=True)
class Window:
    """A time at which nothing moves: by the week, or once."""

    days: tuple[int, ...] = ()
    """1 (Monday) to 7; empty for one between two dates."""
    start: str = ""
    """`HH:MM`."""
    end: str = ""
    """`HH:MM`; not after `start` means on the next day."""
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class FreezeWindows:
    """Times at which nothing moves into the stage."""

    windows: tuple[Window, ...]
    time_zone: str = ""
    kind: Literal["freeze_windows"] = "freeze_windows"


@dataclass(frozen=True, slots=True)
class Expression:
    """A CEL expression."""

    expression: str
    kind: Literal["expression"] = "expression"


Demand = (
    RequiredFields
    | MetricBound
    | MetricAgainstHolder
    | EarlierStage
    | CompatibleSignature
    | GrowingLabel
    | RequiredApprovals
    | RequiredSignature
    | RequiredEvidence
    | AllowedFormats
    | FreezeWindows
    | Expression
)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One demand."""

    id: str
    demand: Demand
    description: str = ""
    advisory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of a policy."""

    uid: str
    name: PolicyName
    display_name: str = ""
    description: str = ""
    models: tuple[str, ...] = ()
    """Patterns of model ids; empty for all."""
    stages: tuple[str, ...]
    rules: tuple[PolicyRule, ...]
    disabled: bool = False
    fast_rollback: bool = False
    policy_version: int = 1
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None = None
    editor: str = ""
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)

    @property
    def pinned(self) -> str:
        """`{name}@{policy_version}`: what approvals are bound to and history says."""
        return f"{self.name}@{self.policy_version}"

    def guards(self, model: ModelName, stage: str) -> bool:
        """Whether it is in force for promotions of the model into the stage."""
        if self.disabled or self.delete_time is not None or stage not in self.stages:
            return False
        return not self.models or any(fnmatch.fnmatchcase(model.model, pattern) for pattern in self.models)
