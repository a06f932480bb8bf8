"""A filter held against one version or model, in plain Python: what SQL must come to as well."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind, MetricKey
from registry_grpc.domain.filters.tree import folded
from registry_grpc.domain.metadata import CodeRevision, Framework, Provenance, Signature, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registry_grpc.domain.deployments import Deployment
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.metadata import DatasetVersion, Metric, Parameter
    from registry_grpc.domain.resources import Model, Version

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_COMPARE: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.UNEQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.MORE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.BEGINS: lambda value, operand: value.startswith(operand),
    Comparison.NOT_BEGINS: lambda value, operand: not value.startswith(operand),
    Comparison.CONTAINS: lambda value, operand: operand in value,
    Comparison.PRESENT: lambda value, _: value != "",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A version with what runs it."""

    version: Version
    deployments: Sequence[Deployment] = ()


def fulfils(tree: Tree[Condition], subject: Found | Model) -> bool:
    """Whether a version or a model is what a filter asks for."""
    values = _of_version if isinstance(subject, Found) else _of_model

    def holds(one: Condition) -> bool:
        compare = _COMPARE[one.comparison]
        return any(compare(value, one.operand) for value in values(subject, one))  # type: ignore[arg-type] # as above

    return folded(tree, holds, every=all, some=any, negated=operator.not_)


def _of_model(model: Model, one: Condition) -> Iterable[object]:
    match one.field:
        case "project" | "model":
            return (getattr(model.name, one.field),)
        case "tags":
            return _keyed(model.tags.items(), one)
        case _:
            return _present(getattr(model, one.field))


def _of_version(found: Found, one: Condition) -> Iterable[object]:  # noqa: C901, PLR0911, PLR0912 - a line a field
    version = found.version
    meta, provenance = version.metadata, version.metadata.provenance or Provenance()
    signature, framework = meta.signature or Signature(), meta.framework or Framework("")
    code, run = provenance.code or CodeRevision(), provenance.training_run or TrainingRun()
    match one.field:
        case "project" | "model":
            return (getattr(version.name, one.field),)
        case "number":
            return (float(version.name.number),)
        case "state":
            return (version.state.value,)
        case "tags":
            return _keyed(version.tags.items(), one)
        case "dependencies":
            return _keyed([(each.name, each.version) for each in meta.dependencies], one)
        case "inputs":
            return _keyed([(each.name, each.data_type.value) for each in signature.inputs], one)
        case "outputs":
            return _keyed([(each.name, each.data_type.value) for each in signature.outputs], one)
        case "metrics":
            return _metrics(version, one)
        case "parameters":
            return _parameters(meta.parameters, one)
        case "framework":
            return (framework.name,)
        case "framework.version":
            return (framework.version,)
        case "algorithm" | "task" | "domain":
            return (getattr(meta, one.field),)
        case "code.repository":
            return (code.repository,)
        case "code.revision":
            return (code.revision,)
        case "run.id":
            return (run.id,)
        case "training_data":
            return [word for each in provenance.training_data for word in _data(each)]
        case "parents":
            return [word for each in provenance.parents for word in (each.version, each.uri) if word]
        case "formats":
            return [each.name for each in version.formats]
        case "card.license":
            return (version.card.license if version.card else "",)
        case "card.languages":
            return version.card.languages if version.card else ()
        case "executable":
            return (any(each.executable for each in version.formats),)
        case "deployed" | "deployments.state" | "deployments.environment" | "deployments.cluster":
            return _running(found.deployments, one.field)
    return _present(getattr(version, one.field))


def _data(each: DatasetVersion) -> list[str]:
    return [word for word in (each.name, f"{each.name}@{each.version}" if each.version else "", each.digest) if word]


def _present(value: object) -> Iterable[object]:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    return (float(value) if isinstance(value, int) and not isinstance(value, bool) else value,)


def _keyed(pairs: Iterable[tuple[str, str]], one: Condition) -> Iterable[str]:
    return [name if one.key is None else text for name, text in pairs if one.key in {None, name}]


def _metrics(version: Version, one: Condition) -> Iterable[object]:
    newest: dict[tuple[str, str, str, str], Metric] = {}
    for metric in version.metadata.metrics:
        place = (metric.name, metric.dataset, metric.dataset_version, metric.slice)
        held = newest.get(place)
        if held is None or (metric.measure_time or _LONG_AGO) >= (held.measure_time or _LONG_AGO):
            newest[place] = metric
    if not isinstance(one.key, MetricKey):
        return {metric.name for metric in newest.values()}
    key = one.key
    return [
        metric.value
        for metric in newest.values()
        if metric.name == key.name
        and key.dataset in {None, metric.dataset}
        and key.dataset_version in {None, metric.dataset_version}
        and metric.slice == key.slice
        and (math.isfinite(metric.value) or one.comparison is Comparison.PRESENT)
    ]


def _parameters(parameters: Sequence[Parameter], one: Condition) -> Iterable[object]:
    if one.key is None:
        return [each.name for each in parameters]
    values: list[object] = []
    for each in parameters:
        if each.name != one.key:
            continue
        number = each.double if each.double is not None else each.int64
        if one.comparison is Comparison.PRESENT:
            values.append(True)
        elif one.kind is Kind.TEXT and each.text is not None:
            values.append(each.text)
        elif one.kind is Kind.FLAG and each.boolean is not None:
            values.append(each.boolean)
        elif one.kind is Kind.NUMBER and number is not None and math.isfinite(number):
            values.append(float(number))
    return values


def _running(deployments: Sequence[Deployment], field: str) -> Iterable[object]:
    live = [each for each in deployments if each.state is not DeploymentState.RETIRED]
    match field:
        case "deployed":
            return (bool(live),)
        case "deployments.state":
            return [each.state.value for each in live]
        case "deployments.environment":
            return [each.place.environment for each in live]
        case _:
            return [each.place.cluster for each in live]
