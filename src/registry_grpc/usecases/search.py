"""Searching the catalogue."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
from registry_grpc.domain.search import FACET_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.resources import Version
    from registry_grpc.domain.search import Facet, Search, Visible
    from registry_grpc.ports.search import FacetCount, ModelHit, SortValue, VersionHit
    from registry_grpc.ports.store import Reader, Store

_READY: Tree[Condition] = Condition("state", Kind.TEXT, Comparison.EQUAL, "ready")
INDEXED_AT_ONCE = 200
TURN_S = 15.0
"""Of a job of the leader, which has to renew its lease."""


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which page a caller wants."""

    after: Sequence[SortValue] | None
    """How the last row before it was sorted; None for the first page."""
    limit: int
    """One more than will be told: the last only says that there are more."""
    known: Callable[[VersionHit], bool]
    """Whether the caller has a version as it was found: the others are read."""


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The most frequent values of a field."""

    facet: Facet
    counts: Sequence[FacetCount]
    truncated: bool


@dataclass(frozen=True, slots=True)
class VersionResults:
    """A page of versions, and what was counted beside it."""

    hits: Sequence[VersionHit]
    versions: Mapping[str, Version]
    """By uid, those of the hits that the caller did not know and that are still there."""
    facets: Sequence[FacetCounts]


@dataclass(frozen=True, slots=True)
class ModelResults:
    """A page of models, the newest version of each that fits, by uid of the model, and what was counted."""

    hits: Sequence[ModelHit]
    facets: Sequence[FacetCounts]
    newest: Mapping[str, VersionHit]
    versions: Mapping[str, Version]
    """By uid, those of the newest that the caller did not know."""


@dataclass(frozen=True, slots=True)
class SearchVersions:
    """Versions of any model."""

    store: Store

    def __call__(
        self,
        wanted: Search,
        facets: Sequence[Facet],
        *,
        project: str,
        page: PageAsked,
        full: bool,
    ) -> VersionResults:
        """A keyset page; facets are counted with the first one. `project` must exist; empty for any.

        Versions are read without their cards unless `full`.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> VersionResults:
            hits = reader.catalogue.versions(wanted, after=page.after, limit=page.limit)
            if not hits:
                _require(reader, project)
            versions = reader.catalogue.versions_of(_unknown(hits[: page.limit - 1], page), full=full)
            counted = [
                _counts(facet, reader.catalogue.version_facet(wanted, facet, FACET_VALUES + 1))
                for facet in (facets if page.after is None else ())
            ]
            return VersionResults(hits, versions, counted)

        return self.store.read(work, snapshot=bool(facets))


@dataclass(frozen=True, slots=True)
class SearchModels:
    """Models, by what they are and what their versions are."""

    store: Store

    def __call__(
        self,
        wanted: Search,
        having: Tree[Condition] | None,
        facets: Sequence[Facet],
        *,
        project: str,
        versions_of: Visible,
        page: PageAsked,
    ) -> ModelResults:
        """A keyset page of models with a version that fulfils `having`; None asks nothing of versions.

        The newest version is told of models in `versions_of`. `project` must exist; empty for any.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> ModelResults:
            hits = reader.catalogue.models(wanted, having, after=page.after, limit=page.limit)
            if not hits:
                _require(reader, project)
            models = [hit.model for hit in hits[: page.limit - 1]]
            told = [model.uid for model in models if versions_of.has(model.name.project, model.name.model)]
            newest = reader.catalogue.newest_of(told, _READY if having is None else having)
            versions = reader.catalogue.versions_of(_unknown(newest.values(), page), full=False)
            counted = [
                _counts(facet, reader.catalogue.model_facet(wanted, having, facet, FACET_VALUES + 1))
                for facet in (facets if page.after is None else ())
            ]
            return ModelResults(hits, counted, newest, versions)

        return self.store.read(work, snapshot=having is not None or bool(facets))


class IndexMissing:
    """Indexes what a program before this one wrote. A job of the leader; safe to run twice at once."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._store = store
        self._clock = clock
        self._done = False
        """Nothing is missing. It stays so: a program of this schema writes no version without its rows."""

    def __call__(self) -> int:
        """How many versions and models were indexed, in `TURN_S` at most. Raises: DATABASE_UNAVAILABLE."""
        total, end = 0, self._clock() + TURN_S
        while not self._done and self._clock() < end:
            found = self._store.write(lambda unit: unit.catalogue.index_missing(INDEXED_AT_ONCE)).get()
            total += found
            self._done = not found and not self._store.read(lambda reader: reader.catalogue.is_any_missing())
            if not found:
                break
        return total


def _unknown(hits: Iterable[VersionHit], page: PageAsked) -> list[str]:
    return [hit.uid for hit in hits if not page.known(hit)]


def _require(reader: Reader, project: str) -> None:
    """What has something in it exists, so this is asked of what has not."""
    if project:
        reader.projects.get(project)


def _counts(facet: Facet, counts: Sequence[FacetCount]) -> FacetCounts:
    return FacetCounts(facet, counts[:FACET_VALUES], len(counts) > FACET_VALUES)
