"""Rules of policies: one reader and one writer for each kind, named as in the oneof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain import policies as rules
from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.evidence import EvidenceKind
from registry_grpc.services.codec.enums import DIRECTION, EnumCodec
from registry_grpc.services.codec.times import (
    duration_from_wire,
    duration_to_wire,
    optional_time_from_wire,
    optional_time_to_wire,
)
from registry_grpc.v1 import evidence_pb2, governance_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from registry_grpc.domain.policies import Demand, PolicyRule

COMPARISON = EnumCodec(rules.Comparison, governance_pb2.Comparison, "COMPARISON_")
_KIND = EnumCodec(EvidenceKind, evidence_pb2.EvidenceKind, "EVIDENCE_KIND_")


def rule_to_wire(rule: PolicyRule) -> governance_pb2.PolicyRule:
    """One demand."""
    message = governance_pb2.PolicyRule(id=rule.id, description=rule.description, advisory=rule.advisory)
    getattr(message, rule.demand.kind).CopyFrom(_WRITERS[rule.demand.kind](rule.demand))
    return message


def rule_from_wire(message: governance_pb2.PolicyRule, path: str) -> PolicyRule:
    """Raises: INVALID_FIELD."""
    kind = message.WhichOneof("rule")
    if kind is None:
        raise invalid_field(path, f"demands nothing; set one of {', '.join(_READERS)}")
    demand = _READERS[kind](getattr(message, kind), f"{path}.{kind}")
    return rules.PolicyRule(message.id, demand, message.description, message.advisory)


def _selector_to_wire(selector: rules.MetricSelector) -> governance_pb2.MetricSelector:
    return governance_pb2.MetricSelector(
        metric=selector.metric,
        dataset=selector.dataset,
        dataset_version=selector.dataset_version,
        slice=selector.slice,
    )


def _selector(message: governance_pb2.MetricSelector) -> rules.MetricSelector:
    return rules.MetricSelector(message.metric, message.dataset, message.dataset_version, message.slice)


def _age(message: Any, field: str, path: str) -> timedelta | None:  # noqa: ANN401 - several messages have it
    if not message.HasField(field):
        return None
    value = duration_from_wire(getattr(message, field), f"{path}.{field}")
    if value.total_seconds() <= 0:
        raise invalid_field(f"{path}.{field}", "must be more than nothing")
    return value


def _soak(message: governance_pb2.EarlierStage, path: str) -> rules.EarlierStage:
    soak = duration_from_wire(message.soak_time, f"{path}.soak_time")
    if soak.total_seconds() < 0:
        raise invalid_field(f"{path}.soak_time", "must not be negative")
    return rules.EarlierStage(message.stage, soak)


def _window(message: governance_pb2.FreezeWindows.Window, path: str) -> rules.Window:
    return rules.Window(
        tuple(sorted(set(message.days))),
        message.start,
        message.end,
        optional_time_from_wire(message, "start_time", path),
        optional_time_from_wire(message, "end_time", path),
    )


def _window_to_wire(window: rules.Window) -> governance_pb2.FreezeWindows.Window:
    return governance_pb2.FreezeWindows.Window(
        days=window.days,
        start=window.start,
        end=window.end,
        start_time=optional_time_to_wire(window.start_time),
        end_time=optional_time_to_wire(window.end_time),
    )


def _age_to_wire(age: timedelta | None) -> Any:  # noqa: ANN401 - a Duration or nothing
    return None if age is None else duration_to_wire(age)


_READERS: dict[str, Callable[[Any, str], Demand]] = {
    "required_fields": lambda message, _: rules.RequiredFields(tuple(dict.fromkeys(message.paths))),
    "metric": lambda message, path: rules.MetricBound(
        _selector(message.metric), COMPARISON.from_wire(message.comparison, f"{path}.comparison"), message.bound
    ),
    "metric_against_holder": lambda message, path: rules.MetricAgainstHolder(
        _selector(message.metric),
        DIRECTION.optional_from_wire(message.direction, f"{path}.direction"),
        message.relative_tolerance,
        message.absolute_tolerance,
        message.holder_required,
    ),
    "earlier_stage": _soak,
    "compatible_signature": lambda *_: rules.CompatibleSignature(),
    "growing_label": lambda *_: rules.GrowingLabel(),
    "approvals": lambda message, path: rules.RequiredApprovals(
        message.count, tuple(dict.fromkeys(message.roles)), _age(message, "max_age", path)
    ),
    "signature": lambda message, _: rules.RequiredSignature(tuple(dict.fromkeys(message.trusted_signers))),
    "evidence": lambda message, path: rules.RequiredEvidence(
        str(_KIND.from_wire(message.kind, f"{path}.kind")),
        message.tool,
        _age(message, "max_age", path),
        tuple(dict.fromkeys(message.reporters)),
    ),
    "formats": lambda message, _: rules.AllowedFormats(tuple(dict.fromkeys(message.formats)), message.no_executable),
    "freeze_windows": lambda message, path: rules.FreezeWindows(
        tuple(_window(each, f"{path}.windows[{at}]") for at, each in enumerate(message.windows)), message.time_zone
    ),
    "expression": lambda message, _: rules.Expression(message.expression),
}
_WRITERS: dict[str, Callable[[Any], Any]] = {
    "required_fields": lambda demand: governance_pb2.RequiredFields(paths=demand.paths),
    "metric": lambda demand: governance_pb2.MetricBound(
        metric=_selector_to_wire(demand.metric), comparison=COMPARISON.to_wire(demand.comparison), bound=demand.bound
    ),
    "metric_against_holder": lambda demand: governance_pb2.MetricAgainstHolder(
        metric=_selector_to_wire(demand.metric),
        direction=DIRECTION.to_wire(demand.direction),
        relative_tolerance=demand.relative_tolerance,
        absolute_tolerance=demand.absolute_tolerance,
        holder_required=demand.holder_required,
    ),
    "earlier_stage": lambda demand: governance_pb2.EarlierStage(
        stage=demand.stage, soak_time=duration_to_wire(demand.soak_time)
    ),
    "compatible_signature": lambda _: governance_pb2.CompatibleSignature(),
    "growing_label": lambda _: governance_pb2.GrowingLabel(),
    "approvals": lambda demand: governance_pb2.RequiredApprovals(
        count=demand.count, roles=demand.roles, max_age=_age_to_wire(demand.max_age)
    ),
    "signature": lambda demand: governance_pb2.RequiredSignature(trusted_signers=demand.trusted_signers),
    "evidence": lambda demand: governance_pb2.RequiredEvidence(
        kind=_KIND.to_wire(EvidenceKind(demand.evidence_kind)),
        tool=demand.tool,
        max_age=_age_to_wire(demand.max_age),
        reporters=demand.reporters,
    ),
    "formats": lambda demand: governance_pb2.AllowedFormats(formats=demand.formats, no_executable=demand.no_executable),
    "freeze_windows": lambda demand: governance_pb2.FreezeWindows(
        windows=[_window_to_wire(each) for each in demand.windows], time_zone=demand.time_zone
    ),
    "expression": lambda demand: governance_pb2.Expression(expression=demand.expression),
}
