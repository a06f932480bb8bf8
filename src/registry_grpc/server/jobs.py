"""What the replica that leads does from time to time; a part of the composition root."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import BLOCK_BYTES
from registry_grpc.observability.observers import ScrubReport, UsageReport
from registry_grpc.server.deploying import deployment_jobs
from registry_grpc.server.gauges import StorageGauges, capacity_of
from registry_grpc.server.leader import Job
from registry_grpc.server.lineage import lineage_jobs
from registry_grpc.server.searching import index_jobs
from registry_grpc.storage.artifacts.verifying import VerifiedReads
from registry_grpc.usecases.deletion import DeleteVersion
from registry_grpc.usecases.deliveries import ForgetDeliveries
from registry_grpc.usecases.events import CompactEvents
from registry_grpc.usecases.governance.settling import ExpireRequests
from registry_grpc.usecases.quotas import RepairUsage
from registry_grpc.usecases.retention import ForgetTokens, KeepNewest
from registry_grpc.usecases.scrub import ScrubBlobs
from registry_grpc.usecases.sweeps import ExpireDrafts, ExpireUploads, PurgeDue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.holders import Holders
    from registry_grpc.server.composition import Foundation
    from registry_grpc.storage.sql.store import SqlStore
    from registry_grpc.usecases.garbage import CollectGarbage
    from registry_grpc.usecases.purge import Purger

SWEEP_S = 60.0
GAUGES_S = 30.0
USAGE_S = 3600.0
KEEP_S = 600.0
GARBAGE_S = 600.0


def leader_jobs(
    store: SqlStore,
    artifacts: ArtifactStore,
    purger: Purger,
    garbage: CollectGarbage,
    delete: DeleteVersion,
    holders: Sequence[Holders],
    foundation: Foundation,
) -> list[Job]:
    """In the order they get their turn."""
    gauges = StorageGauges(store, foundation.metrics, capacity_of(foundation.settings))
    return [
        Job("storage gauges", GAUGES_S, gauges),
        Job("expire uploads", SWEEP_S, ExpireUploads(store, artifacts, garbage.mark)),
        Job("expire drafts", SWEEP_S, ExpireDrafts(store, delete)),
        Job("keep newest versions", KEEP_S, KeepNewest(store, delete, holders)),
        Job("forget tokens", USAGE_S, ForgetTokens(store)),
        Job("collect garbage", GARBAGE_S, garbage),
        Job("forget request ids", SWEEP_S, store.expire_idempotency),
        Job("expire promotion requests", SWEEP_S, ExpireRequests(store)),
        Job("purge", SWEEP_S, PurgeDue(store, purger)),
        *_compaction(store, foundation),
        Job("forget deliveries", SWEEP_S, ForgetDeliveries(store)),
        *deployment_jobs(store, foundation.metrics),
        *lineage_jobs(store),
        *index_jobs(store),
        Job("usage", USAGE_S, RepairUsage(store, UsageReport(foundation.metrics))),
    ]


def _compaction(store: SqlStore, foundation: Foundation) -> list[Job]:
    settings = foundation.settings
    compact = CompactEvents(store, timedelta(seconds=settings.event_retention_s))
    return [Job("forget events", SWEEP_S, compact)] if settings.compact_events else []


def scrubber(store: SqlStore, artifacts: ArtifactStore, foundation: Foundation) -> ScrubBlobs:
    """Hashes what is stored, a block at each call."""
    verified = VerifiedReads(artifacts)

    def read_block(blob: Blob, offset: int) -> int:
        return sum(len(chunk) for chunk in verified.read(blob, offset, BLOCK_BYTES))

    pass_time = timedelta(seconds=foundation.settings.scrub_pass_s)
    return ScrubBlobs(store, read_block, ScrubReport(foundation.metrics), pass_time)
