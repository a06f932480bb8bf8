"""What the composition root adds for the catalogue: its servicer, and the job that indexes what is older."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.server.leader import Job
from registry_grpc.services.catalogue import CatalogueServicer, CatalogueVerbs
from registry_grpc.services.comparisons import ComparisonVerbs
from registry_grpc.usecases import compare, search
from registry_grpc.usecases.selecting import SelectBest

if TYPE_CHECKING:
    from registry_grpc.ports.store import Store
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages

INDEX_S = 5.0
"""Once everything is indexed the job asks nothing of the database."""


def catalogue_servicer(edge: Edge, pages: Pages, max_files: int) -> CatalogueServicer:
    """The servicer with its use cases."""
    store = edge.store
    verbs = CatalogueVerbs(
        models=search.SearchModels(store),
        versions=search.SearchVersions(store),
        best=SelectBest(store),
        comparisons=ComparisonVerbs(compare=compare.CompareVersions(store), parts=compare.GetParts(store, max_files)),
    )
    return CatalogueServicer(edge, pages, verbs)


def index_jobs(store: Store) -> list[Job]:
    """For the leader."""
    return [Job("index", INDEX_S, search.IndexMissing(store))]
