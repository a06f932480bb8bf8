"""Searching the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.filters.conditions import Condition, MetricKey
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.metadata import Direction
    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.domain.search import Facet, Search

    SortValue = str | int | float | None


@dataclass(frozen=True, slots=True)
class VersionHit:
    """A version that was found, as it was then, and the values it was sorted by."""

    uid: str
    revision: int
    aliases: tuple[str, ...]
    """In alphabetical order."""
    sort: tuple[SortValue, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Of two hits with equal keys everything about the version is the same."""
        return self.uid, self.revision, self.aliases


@dataclass(frozen=True, slots=True)
class ModelHit:
    """A model that was found, as it was then, and the values it was sorted by."""

    name: ModelName
    uid: str
    revision: int
    newest: VersionHit | None
    """The newest of its live versions that fulfils what was asked of versions; that is ready, when nothing was."""
    sort: tuple[SortValue, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Of two hits with equal keys everything about the model is the same, beside its versions."""
        return self.uid, self.revision


@dataclass(frozen=True, slots=True)
class CandidateHit:
    """A version that could be selected, with its values of the objectives; None for what it has not."""

    version: Version
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value and how often it occurs; empty for what has none."""

    value: str
    count: int


class Catalogue(Protocol):
    """What is searched by. Of `after` is the `sort` of the last row before the page; None for the first page."""

    def versions(self, wanted: Search, *, after: Sequence[SortValue] | None, limit: int) -> Sequence[VersionHit]:
        """A keyset page."""

    def versions_of(self, uids: Collection[str], *, full: bool) -> Mapping[str, Version]:
        """By uid, those that are still there. Without `full` they come without their cards."""

    def models(
        self, wanted: Search, having: Tree[Condition] | None, *, after: Sequence[SortValue] | None, limit: int
    ) -> Sequence[ModelHit]:
        """A keyset page; `having` is what one of the versions of a model must fulfil."""

    def models_of(self, uids: Collection[str]) -> Mapping[str, Model]:
        """By uid, those that are still there."""

    def version_facet(self, wanted: Search, facet: Facet, limit: int) -> Sequence[FacetCount]:
        """The most frequent values among all versions that are found."""

    def model_facet(
        self, wanted: Search, having: Tree[Condition] | None, facet: Facet, limit: int
    ) -> Sequence[FacetCount]:
        """The most frequent values among all models that are found."""

    def directions(self, wanted: Search, metric: MetricKey) -> Collection[Direction | None]:
        """What the versions that are found say of which way the metric is better; None is of those that say nothing."""

    def best(
        self, wanted: Search, objectives: Sequence[tuple[MetricKey, Direction]], limit: int
    ) -> Sequence[CandidateHit]:
        """Versions that have the first metric, the best first; of equal ones the next objective decides, then age."""

    def count_candidates(self, wanted: Search, metric: MetricKey) -> int:
        """How many of the versions that are found have the metric."""

    def count_versions(self, wanted: Search) -> int:
        """How many versions are found."""

    def is_any_missing(self) -> bool:
        """Whether a version or model lacks what it is searched by."""

    def index_missing(self, limit: int) -> int:
        """Write what models and versions without it are searched by; how many there were, at most `limit`."""
