"""The gauges that are computed from SQL, by the leader alone: elsewhere a sum over replicas would count them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import BlobState

if TYPE_CHECKING:
    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.store import Store

_NAMES = {
    BlobState.LIVE: "live",
    BlobState.DAMAGED: "damaged",
    BlobState.CONDEMNED: "condemned",
    BlobState.DELETING: "deleting",
}


@dataclass(frozen=True, slots=True)
class StorageGauges:
    """What is stored, and what versions see of it."""

    store: Store
    metrics: Metrics

    def __call__(self) -> None:
        """Read once and set."""
        totals, logical, fullest = self.store.read(
            lambda reader: (reader.blobs.totals(), reader.artifacts.logical_bytes(), reader.usage.fullest())
        )
        for state, name in _NAMES.items():
            objects, size_bytes = totals.get(state, (0, 0))
            self.metrics.storage_objects.labels(name).set(objects)
            self.metrics.storage_bytes.labels(name).set(size_bytes)
        self.metrics.scrub_damaged_blobs.set(totals.get(BlobState.DAMAGED, (0, 0))[0])
        self.metrics.storage_logical_bytes.set(logical)
        self.metrics.quota_fullest_ratio.set(fullest)
