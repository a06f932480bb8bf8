"""What the rooms report, turned into metrics. Label children are bound once: looking them up costs too much."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from registry_grpc.observability.metrics import SIZE_CLASSES, STORAGE_OPERATIONS, UPLOAD_OUTCOMES, size_class

if TYPE_CHECKING:
    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.domain.garbage import Tally
    from registry_grpc.domain.tenancy import Usage
    from registry_grpc.observability.metrics import Metrics

SOURCES = ("cache", "db")
RESULTS = ("ok", "not_found", "error")
STAGE_ACTIONS = ("promote", "rollback", "vacate")
STAGE_OUTCOMES = ("applied", "denied", "conflict", "error")
WATCH_ENDS = ("client", "closing", "error")
WAITS = ("client", "storage", "db")
_STORAGE_LABELS = {"put_part": "part", "read": "get", "list_objects": "list", "list_unfinished": "list"}
STORAGE_OUTCOMES = ("ok", "not_found", "throttled", "error")
SCRUB_RESULTS = ("good", "damaged", "healed")
GARBAGE_KINDS = ("blob", "orphan")
_SCRUB_LOG = logging.getLogger("registry_grpc.scrub")
_GARBAGE_LOG = logging.getLogger("registry_grpc.garbage")
_JOB_LOG = logging.getLogger("registry_grpc.leader")
_LOG = logging.getLogger("registry_grpc.feed")
_USAGE_LOG = logging.getLogger("registry_grpc.usage")


class ResolveCounts:
    """Answers of Resolve."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start, so that a rate sees the first error."""
        self._children = {
            (source, result): metrics.resolves.labels(source, result) for source in SOURCES for result in RESULTS
        }
        self._counts = dict.fromkeys(self._children, 0)
        metrics.rpc.settle_with(self._settle)

    def resolved(self, source: str, result: str) -> None:
        """One answer. Concurrency: event loop only; counted in a batch, as calls are."""
        self._counts[source, result] += 1

    def _settle(self) -> None:
        for key, count in self._counts.items():
            if count:
                self._children[key].inc(count)
                self._counts[key] = 0


class WatchCounts:
    """Streams of changes."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._ended = {why: metrics.watches_ended.labels(why).inc for why in WATCH_ENDS}
        self._open = metrics.watches_open
        self._seconds = metrics.watch_lag_seconds.observe
        self._stage_seconds = metrics.stage_delay_seconds.observe

    def watch_began(self) -> None:
        """A stream opened."""
        self._open.inc()

    def watch_ended(self, why: str) -> None:
        """It ended: `client`, `closing` or `error`."""
        self._open.dec()
        self._ended[why]()

    def watch_sent(self, lag_s: float) -> None:
        """A message was handed to the transport, so long after its commit."""
        self._seconds(max(0.0, lag_s))

    def stage_sent(self, delay_s: float) -> None:
        """News of a stage was, to a watch that was there when it happened and keeps up."""
        self._stage_seconds(max(0.0, delay_s))


class StageCounts:
    """Changes of stages asked for."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._count = {
            (action, outcome): metrics.stage_transitions.labels(action, outcome).inc
            for action in STAGE_ACTIONS
            for outcome in STAGE_OUTCOMES
        }

    def stage_changed(self, action: str, outcome: str) -> None:
        """One change, or refusal of one."""
        self._count[action, outcome]()


class TransferCounts:
    """Uploads and downloads through this process."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._metrics = metrics
        self._finished = {outcome: metrics.uploads_finished.labels(outcome).inc for outcome in UPLOAD_OUTCOMES}
        self._waited = {on: metrics.upload_wait_seconds.labels(on).inc for on in WAITS}
        self._received = metrics.upload_bytes.labels("proxy").inc
        self._sent = metrics.download_bytes.labels("proxy").inc
        for name in (*SIZE_CLASSES, "ge10g"):
            metrics.upload_seconds.labels(name)
            metrics.upload_throughput.labels(name)
            metrics.upload_served.labels(name)

    def upload_began(self) -> None:
        """A stream opened."""
        self._metrics.uploads_in_progress.inc()

    def upload_received(self, size_bytes: int) -> None:
        """Bytes came in."""
        self._received(size_bytes)

    def upload_waited(self, on: str, seconds: float) -> None:
        """An upload waited for the client, the store or the database."""
        self._waited[on](seconds)

    def upload_ended(self, outcome: str, size_bytes: int, seconds: float, waited_s: float) -> None:
        """A stream ended; `size_bytes` came in it, and it waited so long for its client."""
        self._metrics.uploads_in_progress.dec()
        self._finished[outcome]()
        if outcome == "committed":
            name = size_class(size_bytes)
            self._metrics.upload_seconds.labels(name).observe(seconds)
            self._metrics.upload_throughput.labels(name).observe(size_bytes / max(seconds, 1e-6))
            self._metrics.upload_served.labels(name).observe(size_bytes / max(seconds - waited_s, 1e-6))

    def downloaded(self, size_bytes: int) -> None:
        """Bytes went out."""
        self._sent(size_bytes)


class StorageCounts:
    """Requests to the artifact store."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._count = {
            (operation, outcome): metrics.storage_requests.labels(operation, outcome).inc
            for operation in STORAGE_OPERATIONS
            for outcome in STORAGE_OUTCOMES
        }
        self._seconds = {
            operation: metrics.storage_seconds.labels(operation).observe for operation in STORAGE_OPERATIONS
        }

    def observe(self, operation: str, outcome: str, seconds: float, size_bytes: int) -> None:  # noqa: ARG002 - the interface
        """One request, by the name of the port's method."""
        label = _STORAGE_LABELS.get(operation, operation)
        self._count[label, outcome]()
        self._seconds[label](seconds)


class ScrubReport:
    """What the scrubber reads and finds."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._read = metrics.scrub_bytes.inc
        self._found = {result: metrics.scrub_blobs.labels(result).inc for result in SCRUB_RESULTS}

    def scrubbed(self, size_bytes: int) -> None:
        """Bytes were hashed."""
        self._read(size_bytes)

    def checked(self, blob: Blob, result: str) -> None:
        """A blob was. Damage is said at every check until it is gone."""
        self._found[result]()
        said = {"blob": blob.uid, "project": blob.project, "sha256": blob.digest.sha256, "damage": blob.damage}
        if result == "damaged":
            _SCRUB_LOG.error("stored bytes are damaged; upload them again or restore them from a backup", extra=said)
        elif result == "healed":
            _SCRUB_LOG.warning("stored bytes that were damaged are good again", extra=said)


class GarbageReport:
    """What the collector removes."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._count = {kind: metrics.garbage_objects.labels(kind).inc for kind in GARBAGE_KINDS}
        self._bytes = {kind: metrics.garbage_bytes.labels(kind).inc for kind in GARBAGE_KINDS}
        self._frozen = metrics.garbage_frozen

    def collected(self, kind: str, tally: Tally) -> None:
        """So much went."""
        self._count[kind](tally.count)
        self._bytes[kind](tally.size_bytes)
        _GARBAGE_LOG.info("garbage collected", extra={"kind": kind, "count": tally.count, "bytes": tally.size_bytes})

    def frozen(self, *, is_frozen: bool) -> None:
        """The store is that of another database; the error that comes along says of which."""
        self._frozen.set(is_frozen)


class JobReport:
    """How the jobs of the leader go."""

    def __init__(self, metrics: Metrics) -> None:
        """The children of a job exist from its first run."""
        self._metrics = metrics

    def ended(self, job: str, seconds: float) -> None:
        """It ended well."""
        label = job.replace(" ", "_")
        self._metrics.job_failures.labels(label)
        self._metrics.job_seconds.labels(label).observe(seconds)
        self._metrics.job_last_success.labels(label).set_to_current_time()

    def failed(self, job: str, seconds: float, error: Exception) -> None:
        """It failed, and is tried again at its next turn."""
        label = job.replace(" ", "_")
        self._metrics.job_seconds.labels(label).observe(seconds)
        self._metrics.job_failures.labels(label).inc()
        _JOB_LOG.warning("a job of the leader failed", extra={"job": job}, exc_info=error)

    def deposed(self) -> None:
        """Another replica leads: what this one had counted is shown by that one."""
        metrics = self._metrics
        for shown in (metrics.storage_bytes, metrics.storage_objects, metrics.deployments):
            shown.clear()
        for shown in (metrics.storage_capacity_bytes, metrics.storage_free_bytes, metrics.job_last_success):
            shown.clear()
        for single in (metrics.storage_logical_bytes, metrics.quota_fullest_ratio, metrics.deployments_stale):
            single.set(0)
        for single in (metrics.scrub_damaged_blobs, metrics.scrub_oldest_seconds, metrics.garbage_frozen):
            single.set(0)


class IssuerReport:
    """Reads of issuers' keys."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._count = {ok: metrics.issuer_fetches.labels("ok" if ok else "error").inc for ok in (True, False)}

    def keys_fetched(self, *, ok: bool) -> None:
        """One read."""
        self._count[ok]()


class UsageReport:
    """Counts of what projects use that were wrong."""

    def __init__(self, metrics: Metrics) -> None:
        """It should stay at 0."""
        self._count = metrics.usage_repaired.inc

    def drifted(self, project: str, said: Usage, counted: Usage) -> None:
        """The row of a project was put right."""
        self._count()
        _USAGE_LOG.error(
            "the usage of a project was counted wrong and is put right; please report it",
            extra={"project": project, "said": str(said), "counted": str(counted)},
        )


class FeedReport:
    """How the change feed goes."""

    def __init__(self, metrics: Metrics) -> None:
        """Silent until the feed starts."""
        self._metrics = metrics
        self._failing = False

    def advanced(self, revision: int, lag_s: float) -> None:
        """The feed is complete up to `revision`."""
        self._metrics.feed_revision.set(revision)
        self._metrics.feed_lag_seconds.set(lag_s)
        if self._failing:
            _LOG.warning("change feed recovered", extra={"revision": revision})
            self._failing = False

    def failed(self, error: Exception, lag_s: float) -> None:
        """A poll failed. Said once per outage, not ten times a second."""
        self._metrics.feed_lag_seconds.set(lag_s)
        if not self._failing:
            _LOG.warning("change feed cannot read the database", exc_info=error)
            self._failing = True
