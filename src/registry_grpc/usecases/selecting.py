"""Selecting the best version by a metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.metadata import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.filters.conditions import MetricKey
    from registry_grpc.domain.search import Search
    from registry_grpc.ports.search import CandidateHit
    from registry_grpc.ports.store import Reader, Store

DEFAULT_RUNNERS_UP = 4
MAX_RUNNERS_UP = 100
_BETTER = {Direction.MAXIMISE: "highest", Direction.MINIMISE: "lowest"}


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric that decides; `direction` None means as the metrics say."""

    metric: MetricKey
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The best version, and how it came to that."""

    candidates: Sequence[CandidateHit]
    """The winner first."""
    count: int
    direction: Direction
    reason: str


@dataclass(frozen=True, slots=True)
class SelectBest:
    """The version with the best value of a metric."""

    store: Store

    def __call__(self, wanted: Search, objectives: Sequence[Objective], *, project: str, limit: int) -> Selection:
        """The winner and `limit` - 1 runners-up. The first objective decides, the others between equals, then age.

        Raises: PROJECT_NOT_FOUND, NO_CANDIDATE, NO_DIRECTION.
        """

        def work(reader: Reader) -> Selection:
            if project:
                reader.projects.get(project)
            count = reader.catalogue.count_candidates(wanted, objectives[0].metric)
            if not count:
                raise _no_candidate(objectives[0].metric)
            asked = [replace(one, direction=one.direction or _agreed(reader, wanted, one.metric)) for one in objectives]
            pairs = [(one.metric, one.direction) for one in asked if one.direction is not None]
            found = reader.catalogue.best(wanted, pairs, limit)
            return Selection(found, count, pairs[0][1], _why(found, count, pairs))

        return self.store.read(work, snapshot=True)


def shown(metric: MetricKey) -> str:
    """A metric as people write it."""
    data = "@".join(filter(None, (metric.dataset, metric.dataset_version)))
    return metric.name + (f" on {data}" if data else "") + (f" for {metric.slice}" if metric.slice else "")


def _agreed(reader: Reader, wanted: Search, metric: MetricKey) -> Direction:
    said = set(reader.catalogue.directions(wanted, metric)) - {None}
    if len(said) == 1:
        return next(one for one in said if one is not None)
    why = "do not agree" if said else "do not say"
    raise RegistryError(
        Reason.NO_DIRECTION,
        f"the versions {why} which direction of {shown(metric)} is better; name it in the objective",
        metric=metric.name,
    )


def _no_candidate(metric: MetricKey) -> RegistryError:
    return RegistryError(
        Reason.NO_CANDIDATE,
        f"no version that fulfils the filter has {shown(metric)}; widen the filter, or look at what there is with "
        f"SearchVersions and metrics:{metric.name}",
        metric=metric.name,
    )


def _why(found: Sequence[CandidateHit], count: int, pairs: Sequence[tuple[MetricKey, Direction]]) -> str:
    """What decided between the winner and the one behind it."""
    metric, direction = pairs[0]
    winner = found[0]
    values = f"{_BETTER[direction]} {shown(metric)} of {count}: {winner.values[0]:g}"
    if len(found) == 1:
        return f"{winner.version.name} has the {values}"
    second = found[1]
    for at, (one, way) in enumerate(pairs):
        mine, theirs = winner.values[at], second.values[at]
        if mine == theirs:
            continue
        behind = "nothing" if theirs is None else f"{theirs:g}"
        if at == 0:
            return f"{winner.version.name} has the {values}, before {second.version.name} with {behind}"
        return (
            f"{winner.version.name} and {second.version.name} share the {values}; {_BETTER[way]} {shown(one)} decided: "
            f"{mine:g} against {behind}"
        )
    return f"{winner.version.name} and {second.version.name} share the {values}; the newer one won"
