"""Puts the collector of stored bytes together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.observability.observers import GarbageReport
from registry_grpc.usecases.garbage import CollectGarbage
from registry_grpc.usecases.orphans import SweepOrphans
from registry_grpc.usecases.store_mark import StoreMark

if TYPE_CHECKING:
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Store
    from registry_grpc.server.composition import Foundation


def collector(store: Store, artifacts: ArtifactStore, foundation: Foundation) -> CollectGarbage:
    """The collector of this process, for the leader's job and for CollectGarbage."""
    grace = foundation.settings.garbage_grace
    return CollectGarbage(
        store,
        artifacts,
        StoreMark(store, artifacts),
        SweepOrphans(store, artifacts, grace),
        GarbageReport(foundation.metrics),
        grace,
    )
