"""The port of the catalogue's search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from registry_grpc.storage.sql.models import Models
from registry_grpc.storage.sql.search import facets, indexing, models, selecting, versions
from registry_grpc.storage.sql.tables import model as model_table
from registry_grpc.storage.sql.tables import version as version_table
from registry_grpc.storage.sql.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.filters.conditions import Condition, MetricKey
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.metadata import Direction
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.domain.search import Facet, Search
    from registry_grpc.ports.search import CandidateHit, FacetCount, ModelHit, SortValue, VersionHit
    from registry_grpc.storage.sql.session import Session


class Catalogue:
    """Implements `ports.search.Catalogue`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def versions(self, wanted: Search, *, after: Sequence[SortValue] | None, limit: int) -> Sequence[VersionHit]:
        """See the port."""
        return versions.search_versions(self._session, wanted, last=after, limit=limit)

    def versions_of(self, uids: Collection[str], *, full: bool) -> Mapping[str, Version]:
        """See the port."""
        return versions.read_versions(self._session, uids, full=full)

    def models(
        self, wanted: Search, having: Tree[Condition] | None, *, after: Sequence[SortValue] | None, limit: int
    ) -> Sequence[ModelHit]:
        """See the port."""
        return models.search_models(self._session, wanted, having, last=after, limit=limit)

    def models_of(self, uids: Collection[str]) -> Mapping[str, Model]:
        """See the port."""
        return models.read_models(self._session, uids)

    def version_facet(self, wanted: Search, facet: Facet, limit: int) -> Sequence[FacetCount]:
        """See the port."""
        return facets.version_facet(self._session, wanted, facet, limit)

    def model_facet(
        self, wanted: Search, having: Tree[Condition] | None, facet: Facet, limit: int
    ) -> Sequence[FacetCount]:
        """See the port."""
        return facets.model_facet(self._session, wanted, having, facet, limit)

    def directions(self, wanted: Search, metric: MetricKey) -> Collection[Direction | None]:
        """See the port."""
        return selecting.directions(self._session, wanted, metric)

    def best(
        self, wanted: Search, objectives: Sequence[tuple[MetricKey, Direction]], limit: int
    ) -> Sequence[CandidateHit]:
        """See the port."""
        return selecting.best(self._session, wanted, objectives, limit)

    def count_candidates(self, wanted: Search, metric: MetricKey) -> int:
        """See the port."""
        return selecting.count_candidates(self._session, wanted, metric)

    def count_versions(self, wanted: Search) -> int:
        """See the port."""
        query = versions.found_versions(self._session, wanted)
        row = self._session.one(select(func.count()).select_from(query.source).where(*query.where))
        return int(row[0]) if row else 0

    def is_any_missing(self) -> bool:
        """See the port."""
        return indexing.is_any_unindexed(self._session)

    def index_missing(self, limit: int) -> int:
        """See the port."""
        found = 0
        for uid in indexing.lock_unindexed(self._session, model_table, limit):
            model = Models(self._session).lock_uid(uid)
            if model is not None:
                indexing.index_model(self._session, model)
                found += 1
        for uid in indexing.lock_unindexed(self._session, version_table, limit - found):
            version = Versions(self._session).by_uid(uid)
            if version is not None:
                indexing.index_version(self._session, version)
                found += 1
        return found
