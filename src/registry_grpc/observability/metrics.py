"""Every metric of the registry's own. No names of models or projects in labels, ever.

All of them add up over the workers of a server (sums.py): no Info, no callbacks, no collectors of our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from registry_grpc.observability.rpc_metrics import RpcMetrics

GIB = 1 << 30
SIZE_CLASSES = {"lt16m": 16 << 20, "lt1g": GIB, "lt10g": 10 * GIB}
"""Upper bounds in bytes, exclusive; anything larger is `ge10g`."""
UPLOAD_OUTCOMES = (
    *("committed", "deduplicated", "client_aborted", "client_invalid"),
    *("quota", "expired", "integrity_error", "storage_error", "drained", "internal"),
)
AUTH_FAILURES = ("missing", "invalid", "expired", "revoked", "disabled", "issuer_unavailable")
STORAGE_OPERATIONS = ("put", "begin", "part", "complete", "abort", "get", "head", "delete", "sweep", "list", "ping")
_UPLOAD_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_THROUGHPUT = (1e6, 5e6, 1e7, 2.5e7, 5e7, 1e8, 2.5e8, 5e8, 1e9)
_STAGE_DELAY_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0)
_STORAGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_JOB_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
_DATABASE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


def size_class(size_bytes: int) -> str:
    """The `size_class` of an upload."""
    return next((name for name, bound in SIZE_CLASSES.items() if size_bytes < bound), "ge10g")


class _Maker:
    """Makes metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.modes: dict[str, str] = {}

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str, mode: str = "livesum") -> Gauge:
        self.modes[name] = mode
        return Gauge(
            name,
            text,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]
        )

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=buckets)


class Metrics:
    """The metrics of one process. Pass it on; there is no global one."""

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        """Also sets `registry_build_info` for `version`."""
        make = _Maker(registry)
        self.registry = registry
        self.rpc = RpcMetrics(registry)
        self._uploads(make)
        self._storage(make)
        self._jobs(make)
        self._tenants(make)
        self._catalogue(make)
        self._webhooks(make)
        self._process(make)
        self._edge(make)
        self.modes = make.modes
        """How each gauge adds up over the workers of a server."""
        self.build_info.labels(version).set(1)
        for reason in AUTH_FAILURES:
            self.auth_failures.labels(reason)
        for outcome in UPLOAD_OUTCOMES:
            self.uploads_finished.labels(outcome)

    def _uploads(self, make: _Maker) -> None:
        self.uploads_in_progress = make.gauge("registry_uploads_in_progress", "Upload streams open now.")
        self.uploads_finished = make.counter("registry_uploads_finished", "Uploads that ended, by outcome.", "outcome")
        self.upload_bytes = make.counter("registry_upload_bytes", "Bytes received in uploads.", "path")
        self.download_bytes = make.counter("registry_download_bytes", "Bytes sent in downloads.", "path")
        self.upload_seconds = make.histogram(
            "registry_upload_seconds",
            "Seconds of an upload stream that ended in a commit.",
            _UPLOAD_SECONDS,
            "size_class",
        )
        self.upload_throughput = make.histogram(
            "registry_upload_throughput_bytes_per_second",
            "Throughput of committed uploads.",
            _THROUGHPUT,
            "size_class",
        )
        self.upload_served = make.histogram(
            "registry_upload_served_bytes_per_second",
            "Throughput of committed uploads without the time spent waiting for the client.",
            _THROUGHPUT,
            "size_class",
        )
        self.upload_wait_seconds = make.counter(
            "registry_upload_wait_seconds",
            "Seconds uploads waited, by what they waited on.",
            "on",
        )

    def _storage(self, make: _Maker) -> None:
        self.storage_requests = make.counter(
            "registry_storage_requests",
            "Requests to the artifact store.",
            "op",
            "outcome",
        )
        self.storage_seconds = make.histogram(
            "registry_storage_seconds",
            "Seconds of requests to the artifact store.",
            _STORAGE_SECONDS,
            "op",
        )
        self.scrub_bytes = make.counter("registry_scrub_bytes", "Stored bytes hashed again to find rot.")
        self.scrub_blobs = make.counter("registry_scrub_blobs", "Blobs hashed again, by what was found.", "result")
        self.scrub_damaged_blobs = make.gauge(
            "registry_scrub_damaged_blobs", "Blobs known to be damaged.", mode="mostrecent"
        )
        self.scrub_oldest_seconds = make.gauge(
            "registry_scrub_oldest_seconds",
            "How long ago the blob that waited longest was hashed, or stored; 0 without blobs.",
            mode="mostrecent",
        )
        # Computed by the one leader from SQL: only the newest value means anything.
        self.storage_bytes = make.gauge("registry_storage_bytes", "Bytes stored, by state.", "state", mode="mostrecent")
        self.storage_objects = make.gauge(
            "registry_storage_objects", "Objects stored, by state.", "state", mode="mostrecent"
        )
        self.storage_logical_bytes = make.gauge(
            "registry_storage_logical_bytes",
            "Bytes of all files as versions see them, before deduplication.",
            mode="mostrecent",
        )
        self.storage_capacity_bytes = make.gauge(
            "registry_storage_capacity_bytes",
            "Bytes the artifact store can hold, by where that is known from.",
            "source",
            mode="mostrecent",
        )
        self.storage_free_bytes = make.gauge(
            "registry_storage_free_bytes",
            "Bytes of the artifact store that are free, by where that is known from.",
            "source",
            mode="mostrecent",
        )
        self.garbage_objects = make.counter("registry_garbage_objects", "What the collector removed, by kind.", "kind")
        self.garbage_bytes = make.counter("registry_garbage_bytes", "Bytes the collector removed, by kind.", "kind")
        self.garbage_frozen = make.gauge(
            "registry_garbage_frozen",
            "1 while nothing is deleted, because the artifact store is marked as that of another database.",
            mode="mostrecent",
        )

    def _jobs(self, make: _Maker) -> None:
        self.job_last_success = make.gauge(
            "registry_job_last_success_timestamp_seconds",
            "When a job of the leader last ended well, seconds since the epoch.",
            "task",  # not `job`: Prometheus gives that label to every series itself
            mode="mostrecent",
        )
        self.job_seconds = make.histogram(
            "registry_job_duration_seconds", "Seconds of a job of the leader.", _JOB_SECONDS, "task"
        )
        self.job_failures = make.counter("registry_job_failures", "Runs of a job of the leader that failed.", "task")

    def _tenants(self, make: _Maker) -> None:
        self.limited = make.counter("registry_limited", "Calls refused by a rate or a number of streams.", "limit")
        self.usage_repaired = make.counter(
            "registry_usage_repaired", "Projects whose usage was counted wrong and was put right; should stay 0."
        )
        self.quota_fullest_ratio = make.gauge(
            "registry_quota_fullest_ratio",
            "Of all quotas on stored bytes, the greatest part that is used; 0 without quotas.",
            mode="mostrecent",
        )

    def _catalogue(self, make: _Maker) -> None:
        self.resolves = make.counter(
            "registry_resolve", "Answers of Resolve, by source and result.", "source", "result"
        )
        self.stage_transitions = make.counter(
            "registry_stage_transitions",
            "Changes of stages asked for, by action and outcome.",
            "action",
            "outcome",
        )
        self.deployments = make.gauge(
            "registry_deployments", "Deployments that were reported, by state.", "state", mode="mostrecent"
        )
        self.deployments_stale = make.gauge(
            "registry_deployments_stale", "Deployments nothing was heard of for too long.", mode="mostrecent"
        )
        self.watches_open = make.gauge("registry_watches_open", "Watches open at this moment.", mode="livesum")
        self.watches_ended = make.counter("registry_watches_ended", "Watches that ended, by why.", "why")
        self.watch_lag_seconds = make.histogram(
            "registry_watch_lag_seconds",
            "Seconds from the commit of a change to its hand-over to the transport, by message.",
            (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0),
        )
        self.stage_delay_seconds = make.histogram(
            "registry_stage_event_delay_seconds",
            "Seconds from the commit of a change of a stage to its hand-over to each watch that was there and kept up.",
            _STAGE_DELAY_SECONDS,
        )
        self.feed_lag_seconds = make.gauge(
            "registry_feed_lag_seconds",
            "Seconds since this process last heard from the change feed.",
            mode="livemax",
        )
        self.feed_revision = make.gauge(
            "registry_feed_revision",
            "Newest revision the projection of this process has applied.",
            mode="livemin",
        )

    def _webhooks(self, make: _Maker) -> None:
        self.webhook_attempts = make.counter(
            "registry_webhook_attempts", "Attempts to deliver to webhooks, by outcome.", "outcome"
        )
        self.webhook_delay_seconds = make.histogram(
            "registry_webhook_delay_seconds",
            "Seconds from the commit of an event to its delivery to a webhook.",
            (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0, 86400.0),
        )
        self.webhook_outbox_age_seconds = make.gauge(
            "registry_webhook_outbox_age_seconds",
            "Age of the oldest event that waits for a webhook that is enabled; 0 where nothing is delivered from.",
            mode="livemax",
        )

    def _process(self, make: _Maker) -> None:
        self.db_pool_connections = make.gauge(
            "registry_db_pool_connections", "Connections of the database pool.", "state"
        )
        self.db_seconds = make.histogram(
            "registry_db_seconds",
            "Seconds of units of work in the database.",
            _DATABASE_SECONDS,
            "op",
        )
        self.db_schema_at_head = make.gauge(
            "registry_db_schema_at_head",
            "1 while the database has the schema this program knows.",
            mode="livemin",
        )
        self.auth_failures = make.counter(
            "registry_auth_failures", "Calls refused for their credentials, by reason.", "reason"
        )
        self.audit_denials_dropped = make.counter(
            "registry_audit_denials_dropped", "Refused changes that were too many, or could not be recorded."
        )
        self.audit_checkpoint_size = make.gauge(
            "registry_audit_checkpoint_size", "Entries under the newest checkpoint this process signed.", mode="livemax"
        )
        self.audit_checkpoints_refused = make.counter(
            "registry_audit_checkpoints_refused", "Checkpoints not signed: the audit trail was changed. An alarm."
        )
        self.issuer_fetches = make.counter(
            "registry_issuer_fetches", "Reads of the keys of trusted issuers, by outcome.", "outcome"
        )
        self.build_info = make.gauge("registry_build_info", "1, labelled with the version.", "version", mode="livemax")

    def _edge(self, make: _Maker) -> None:
        self.event_loop_lag_seconds = make.gauge(
            "registry_event_loop_lag_seconds",
            "How late the event loop last ran a timer.",
            mode="livemax",
        )
        self.event_loop_stalls = make.counter(
            "registry_event_loop_stalls", "Times the event loop was stuck for longer than `loop_stall_s`."
        )
        self.certificate_reload_failures = make.counter(
            "registry_tls_certificate_reload_failures", "Changed certificate files that could not be used."
        )
        self.certificate_expiry_seconds = make.gauge(
            "registry_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in force ends, seconds since the epoch; 0 without one.",
            mode="livemin",
        )
