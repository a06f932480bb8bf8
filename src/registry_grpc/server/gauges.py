"""The gauges that are computed from SQL, by the leader alone: elsewhere a sum over replicas would count them again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import BlobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.store import Reader, Store
    from registry_grpc.server.settings import Settings

Capacity = tuple[str, int, int]
"""Where it is known from, bytes in all, bytes free."""
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
    capacity: Callable[[int], Capacity | None]
    """Given the bytes stored, what the artifact store can hold; None where nobody can tell. Raises: OSError."""

    def __call__(self) -> None:
        """Read once and set."""
        totals, logical, fullest, oldest_s = self.store.read(
            lambda reader: (
                reader.blobs.totals(),
                reader.artifacts.logical_bytes(),
                reader.usage.fullest(),
                _oldest_s(reader),
            )
        )
        for state, name in _NAMES.items():
            objects, size_bytes = totals.get(state, (0, 0))
            self.metrics.storage_objects.labels(name).set(objects)
            self.metrics.storage_bytes.labels(name).set(size_bytes)
        self.metrics.scrub_damaged_blobs.set(totals.get(BlobState.DAMAGED, (0, 0))[0])
        self.metrics.storage_logical_bytes.set(logical)
        self.metrics.scrub_oldest_seconds.set(oldest_s)
        self.metrics.quota_fullest_ratio.set(fullest)
        capacity = self.capacity(sum(size_bytes for _, size_bytes in totals.values()))
        if capacity is not None:
            source, all_bytes, free_bytes = capacity
            self.metrics.storage_capacity_bytes.labels(source).set(all_bytes)
            self.metrics.storage_free_bytes.labels(source).set(free_bytes)


def capacity_of(settings: Settings) -> Callable[[int], Capacity | None]:
    """How the capacity of the artifact store is found out: as it was set, else from the file system."""
    if settings.storage_capacity_bytes:
        whole = settings.storage_capacity_bytes
        return lambda stored: ("setting", whole, max(0, whole - stored))
    if settings.artifact_store == "s3":
        return lambda _: None

    def disk(_: int) -> Capacity:
        usage = shutil.disk_usage(settings.data_dir)
        # What is free to us: a file system keeps some for root.
        return "disk", usage.used + usage.free, usage.free

    return disk


def _oldest_s(reader: Reader) -> float:
    blob = reader.blobs.due(reader.now)
    if blob is None:
        return 0.0
    return max(0.0, (reader.now - (blob.check_time or blob.create_time)).total_seconds())
