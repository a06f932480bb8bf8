"""What the composition root adds for lineage: its servicer, and the leader's job for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.server.leader import Job
from registry_grpc.services.lineage import LineageServicer, LineageVerbs
from registry_grpc.usecases import lineage, runs

if TYPE_CHECKING:
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages

INDEX_S = 60.0


def lineage_servicer(edge: Edge, pages: Pages, ids: Ids) -> LineageServicer:
    """The servicer with its use cases."""
    store = edge.store
    verbs = LineageVerbs(
        record=runs.RecordRun(store, ids),
        get=runs.GetRun(store),
        list=runs.ListRuns(store),
        delete=runs.DeleteRun(store),
        link=lineage.LinkLineage(store),
        unlink=lineage.UnlinkLineage(store),
        walk=lineage.GetLineage(store),
    )
    return LineageServicer(edge, pages, verbs)


def lineage_jobs(store: Store) -> list[Job]:
    """What the leader does for lineage."""
    return [Job("index lineage", INDEX_S, lineage.IndexMissingLineage(store))]
