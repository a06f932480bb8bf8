"""A version against a bound, and against the version that holds the stage. Each returns passed, observed, required."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from registry_grpc.domain.metadata import Direction
from registry_grpc.domain.policies import Comparison, MetricSelector
from registry_grpc.domain.semver import precedence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_grpc.domain.metadata import Metric, Signature, TensorSpec
    from registry_grpc.domain.policies import MetricAgainstHolder, MetricBound

    Compared = tuple[bool, str, str]

_WORDS = {Comparison.AT_LEAST: "≥", Comparison.ABOVE: ">", Comparison.AT_MOST: "≤", Comparison.BELOW: "<"}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def newest(metrics: Sequence[Metric], selector: MetricSelector) -> Metric | None:
    """The newest value that is meant; of several without a time, or with the same, the last one."""
    fitting = [
        (each.measure_time or _LONG_AGO, at, each)
        for at, each in enumerate(metrics)
        if each.name == selector.metric
        and selector.dataset in {"", each.dataset}
        and selector.dataset_version in {"", each.dataset_version}
        and each.slice == selector.slice
    ]
    return max(fitting)[2] if fitting else None


def _shown(selector: MetricSelector) -> str:
    on = "@".join(filter(None, (selector.dataset, selector.dataset_version)))
    return selector.metric + (f" on {on}" if on else "") + (f" for {selector.slice}" if selector.slice else "")


def bounded(demand: MetricBound, metrics: Sequence[Metric]) -> Compared:
    """A metric within a bound. NaN is within none."""
    required = f"{_shown(demand.metric)} {_WORDS[demand.comparison]} {demand.bound:g}"
    found = newest(metrics, demand.metric)
    if found is None:
        return False, f"{_shown(demand.metric)} was not measured", required
    value, bound = found.value, demand.bound
    passed = {
        Comparison.AT_LEAST: value >= bound,
        Comparison.ABOVE: value > bound,
        Comparison.AT_MOST: value <= bound,
        Comparison.BELOW: value < bound,
    }[demand.comparison]
    return passed, f"{value:g}", required


def against_holder(demand: MetricAgainstHolder, mine: Sequence[Metric], theirs: Sequence[Metric]) -> Compared:
    """A metric not worse than that of the holder, measured on the same."""
    found = newest(mine, demand.metric)
    if found is None:
        return (
            False,
            f"{_shown(demand.metric)} was not measured",
            f"{_shown(demand.metric)} not worse than the holder's",
        )
    same = MetricSelector(found.name, found.dataset, found.dataset_version, found.slice)
    held = newest(theirs, same)
    if held is None:
        required = f"{_shown(same)} of the holder, to compare with"
        return not demand.holder_required, "the holder has none", required
    direction = demand.direction or found.direction or held.direction
    if direction is None:
        return False, f"{found.value:g}", f"{_shown(same)} must say which direction is better"
    slack = demand.absolute_tolerance + demand.relative_tolerance * abs(held.value)
    bound = held.value - slack if direction is Direction.MAXIMISE else held.value + slack
    passed = found.value >= bound if direction is Direction.MAXIMISE else found.value <= bound
    word = "≥" if direction is Direction.MAXIMISE else "≤"
    if math.isnan(held.value):
        return False, f"{found.value:g}", f"{_shown(same)}: the holder's is NaN, nothing can be compared with it"
    return passed, f"{found.value:g}", f"{_shown(same)} {word} {bound:g} (the holder has {held.value:g})"


def growing(mine: str, theirs: str) -> Compared:
    """A SemVer label above the holder's. A holder without one has nothing to be above of."""
    own, held = precedence(mine), precedence(theirs)
    if own is None:
        return False, f"{mine!r} is no SemVer", f"a SemVer label above {theirs!r}"
    if held is None:
        return True, mine, f"a SemVer label; the holder's is {theirs!r}"
    return own > held, mine, f"above {theirs}"


def compatible(mine: Signature | None, theirs: Signature | None) -> str:
    """Why callers of the holder could not go on; empty when they can. A holder that says nothing promised nothing."""
    if theirs is None:
        return ""
    if mine is None:
        return "the version has no signature, the holder has one"
    return next(_broken_inputs(mine, theirs), "") or next(_broken_outputs(mine, theirs), "")


def _broken_inputs(mine: Signature, theirs: Signature) -> Iterator[str]:
    inputs = {spec.name: spec for spec in mine.inputs}
    for held in theirs.inputs:
        own = inputs.pop(held.name, None)
        if own is None:
            yield f"input {held.name!r} is not taken any more"
        elif fault := _fault(own, held, wider=own, narrower=held):
            yield f"input {held.name!r} {fault}"
        elif held.optional and not own.optional:
            yield f"input {held.name!r} is not optional any more"
    yield from (f"input {own.name!r} is new and not optional" for own in inputs.values() if not own.optional)


def _broken_outputs(mine: Signature, theirs: Signature) -> Iterator[str]:
    outputs = {spec.name: spec for spec in mine.outputs}
    for held in theirs.outputs:
        own = outputs.get(held.name)
        if own is None:
            yield f"output {held.name!r} is not given any more"
        elif fault := _fault(own, held, wider=held, narrower=own):
            yield f"output {held.name!r} {fault}"
        elif own.optional and not held.optional:
            yield f"output {held.name!r} is not always given any more"


def _fault(own: TensorSpec, held: TensorSpec, *, wider: TensorSpec, narrower: TensorSpec) -> str:
    if own.data_type is not held.data_type:
        return f"is {own.data_type}, was {held.data_type}"
    fits = len(wider.shape) == len(narrower.shape) and all(
        wide in {-1, narrow} for wide, narrow in zip(wider.shape, narrower.shape, strict=False)
    )
    return "" if fits else f"has shape {list(own.shape)}, had {list(held.shape)}"
