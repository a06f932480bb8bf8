"""Searching the catalogue."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.search import FACET_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.domain.search import Facet, Search, Visible
    from registry_grpc.ports.search import FacetCount, ModelHit, SortValue, VersionHit
    from registry_grpc.ports.store import Reader, Store

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
    """A page of models, each with the newest version that fits, and what was counted beside it."""

    hits: Sequence[ModelHit]
    models: Mapping[str, Model]
    """By uid, those of the hits that the caller did not know and that are still there."""
    versions: Mapping[str, Version]
    """The same of their newest versions."""
    facets: Sequence[FacetCounts]


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
        known: Callable[[ModelHit], bool],
    ) -> ModelResults:
        """A keyset page of models with a version that fulfils `having`; None asks nothing of versions.

        The newest version is told of models in `versions_of`. `known` says of a model what `page` says of a version.
        `project` must exist; empty for any.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> ModelResults:
            hits = reader.catalogue.models(wanted, having, after=page.after, limit=page.limit)
            if not hits:
                _require(reader, project)
            hits = [
                hit if versions_of.has(hit.name.project, hit.name.model) else replace(hit, newest=None) for hit in hits
            ]
            told = hits[: page.limit - 1]
            models = reader.catalogue.models_of([hit.uid for hit in told if not known(hit)])
            newest = [hit.newest for hit in told if hit.newest is not None]
            versions = reader.catalogue.versions_of(_unknown(newest, page), full=False)
            counted = [
                _counts(facet, reader.catalogue.model_facet(wanted, having, facet, FACET_VALUES + 1))
                for facet in (facets if page.after is None else ())
            ]
            return ModelResults(hits, models, versions, counted)

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
