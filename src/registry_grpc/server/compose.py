"""The composition root: the only place that names concrete classes of every room. Reads like a list."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.auth.authenticator import Authenticator, store_lookup
from registry_grpc.auth.bootstrap import ensure_admin_token
from registry_grpc.auth.view import AccessView
from registry_grpc.observability.database_metrics import DatabaseCounts
from registry_grpc.observability.observers import (
    FeedReport,
    IssuerReport,
    JobReport,
    ResolveCounts,
    StageCounts,
    StorageCounts,
)
from registry_grpc.server.auditing import auditing
from registry_grpc.server.collecting import collector
from registry_grpc.server.composition import Composition, Foundation
from registry_grpc.server.consumer_counts import ConsumerCounts
from registry_grpc.server.following import AccessFollower, OnLoop
from registry_grpc.server.ids import RandomIds
from registry_grpc.server.issuers import open_issuers
from registry_grpc.server.jobs import leader_jobs, scrubber
from registry_grpc.server.leader import Leader
from registry_grpc.server.limits import Limits
from registry_grpc.server.pools import Pool
from registry_grpc.server.scrubbing import Scrubbing
from registry_grpc.server.servicers import Core, servicers
from registry_grpc.server.webhooks import delivering
from registry_grpc.services.edge import Edge
from registry_grpc.services.expressions import CelExpressions
from registry_grpc.services.resolving import Resolver, reply_of
from registry_grpc.storage.artifacts.local import LocalArtifactStore
from registry_grpc.storage.artifacts.metered import MeteredArtifactStore
from registry_grpc.storage.sql.store import SqlStore
from registry_grpc.usecases.access.accounts import remove_access
from registry_grpc.usecases.consumers import AddConsumers
from registry_grpc.usecases.deletion import DeleteVersion
from registry_grpc.usecases.deployment_upkeep import DeploymentHolders, forget_deployments
from registry_grpc.usecases.governance.gate import Gate
from registry_grpc.usecases.governance.settling import remove_governance
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.lineage import forget_lineage
from registry_grpc.usecases.purge import Purger
from registry_grpc.usecases.resolve import Resolve
from registry_grpc.usecases.signing import remove_trusted_signers
from registry_grpc.usecases.webhooks import remove_webhooks
from registry_grpc.watch.feed import ChangeFeed
from registry_grpc.watch.projection import Projection
from registry_grpc.watch.recent import Recent

if TYPE_CHECKING:
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.server.settings import Settings
    from registry_grpc.usecases.purge import Hook

MAX_AGE = timedelta(hours=1)
"""How long a caller may go on with an answer of Resolve when the registry is away."""
UNDELETE_WINDOW = timedelta(days=30)
RESOLVE = "/registry_grpc.v1.StageService/Resolve"
PROBE_THREADS = 2
LAST_PARTS_S = 2.0
"""Of the time to drain, what uploads get to store the parts that came before they are told to go on elsewhere."""
HOLDERS = (PointerHolders(), DeploymentHolders())
"""What keeps versions from being deleted; rooms that hold some join here."""
PURGE_HOOKS: tuple[Hook, ...] = (
    remove_access,
    remove_governance,
    remove_webhooks,
    remove_trusted_signers,
    forget_deployments,
    forget_lineage,
)
"""What else goes with a project that is purged."""


async def compose(foundation: Foundation) -> Composition:
    """Everything behind the edge of one server process.

    Raises: SchemaError, StoreInUseError, DATABASE_UNAVAILABLE.
    """
    settings, metrics = foundation.settings, foundation.metrics
    control, transfer = foundation.control, foundation.transfer
    store = await control.run(open_store, settings)
    artifacts = MeteredArtifactStore(open_artifacts(settings), StorageCounts(metrics))
    projection = Projection(lambda pointer: reply_of(pointer, MAX_AGE))
    access = AccessView()
    limits = Limits(
        metrics,
        calls_per_second=settings.calls_per_second_per_principal,
        max_streams=settings.max_streams_per_principal,
    )
    recent = Recent()
    webhooks = await control.run(delivering, store, RandomIds(), foundation)
    audit = await control.run(auditing, store, artifacts, foundation)
    feed = ChangeFeed(
        store,
        projection,
        control.run,
        FeedReport(metrics),
        max_staleness_s=settings.max_staleness_s,
        followers=(access, limits, recent, *((webhooks.worker,) if webhooks else ())),
    )
    store.observer = feed
    store.work_observer = DatabaseCounts(metrics)
    access_follower = AccessFollower(access, store, feed, control.run)
    jwts, issuer_pool = open_issuers(settings.issuers, IssuerReport(metrics))
    authenticator = Authenticator(store_lookup(store, control.run), metrics, accounts=access, jwts=jwts)
    access.tell(OnLoop(authenticator, asyncio.get_running_loop()))
    edge = Edge(control, feed, store)
    consumers = ConsumerCounts(lambda counted: control.run(AddConsumers(store), counted))
    resolver = Resolver(edge, projection, Resolve(store), MAX_AGE, ResolveCounts(metrics), consumers)
    purger = Purger(store, PURGE_HOOKS)
    garbage = collector(store, artifacts, foundation)
    core = Core(
        edge=edge,
        transfer=transfer,
        artifacts=artifacts,
        ids=RandomIds(),
        resolver=resolver,
        consumers=consumers,
        stage_observer=StageCounts(metrics),
        metrics=metrics,
        access=access,
        recent=recent,
        watch_max_age_s=settings.watch_max_age_s,
        draft_retention=timedelta(seconds=settings.draft_retention_s),
        upload_retention=timedelta(seconds=settings.upload_retention_s),
        undelete_window=UNDELETE_WINDOW,
        holders=HOLDERS,
        purger=purger,
        garbage=garbage,
        gate=Gate(CelExpressions()),
        webhooks=webhooks.verbs if webhooks else None,
        audit=audit.verbs,
        max_uploads=settings.max_uploads,
        max_open_uploads=settings.max_open_uploads,
        upload_idle_s=settings.upload_idle_s,
        upload_min_bytes_per_s=settings.upload_min_bytes_per_s,
        upload_leave_after_s=max(settings.drain_s / 2, settings.drain_s - LAST_PARTS_S),
        can_sign=settings.artifact_store == "s3" and settings.s3_public_endpoint is not None,
    )
    adders, uploads, watches = servicers(core)
    delete = DeleteVersion(store, HOLDERS, UNDELETE_WINDOW)
    jobs = leader_jobs(store, artifacts, purger, garbage, delete, HOLDERS, foundation)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    leader = Leader(store, control, holder, [*jobs, *audit.jobs], JobReport(metrics))

    scrubbing = Scrubbing(
        step=scrubber(store, artifacts, foundation),
        leads=lambda: leader.epoch is not None,
        pool=transfer,
        bytes_per_s=settings.scrub_bytes_per_s,
        pass_s=settings.scrub_pass_s,
    )

    # Not the pools that work: full of uploads they would make a healthy server look unready.
    probing = Pool("probe", PROBE_THREADS)

    async def feed_is_fresh() -> None:
        if not feed.is_fresh():
            message = f"the change feed last heard from the database {feed.lag_s:.1f} s ago"
            raise TimeoutError(message)

    return Composition(
        servicers=adders,
        authenticator=authenticator,
        access=access,
        record_occurrences=lambda denials: control.run(store.record_occurrences, denials),
        probes={
            "database": lambda: probing.run(store.ping),
            "artifacts": lambda: probing.run(artifacts.ping),
            "feed": feed_is_fresh,
        },
        limits=limits,
        shortcuts={RESOLVE: resolver.shortcut},
        unfit=feed.lost,
        on_start=[
            feed.start,
            watches.start,
            access_follower.start,
            lambda: control.run(store.read, limits.load),
            lambda: control.run(ensure_admin_token, store, settings.data_dir, settings.admin_token_file),
            lambda: metrics.db_schema_at_head.set(1),
            leader.start,
            consumers.start,
            *((webhooks.worker.start,) if webhooks else ()),
            scrubbing.start,
        ],
        on_drain=[watches.close, uploads.drain],
        on_stop=[
            watches.stop,
            consumers.stop,
            *((webhooks.worker.stop,) if webhooks else ()),
            scrubbing.stop,
            leader.stop,
            access_follower.stop,
            feed.stop,
            *((issuer_pool.close,) if issuer_pool else ()),
            lambda: probing.run(store.close),
            probing.close,
        ],
    )


def open_store(settings: Settings) -> SqlStore:
    """The metadata store of the settings. The embedded database upgrades itself; any other one is upgraded by hand.

    Raises: SchemaError, StoreInUseError, DATABASE_UNAVAILABLE.
    """
    embedded = settings.database_url is None and settings.database_url_file is None
    return SqlStore(
        settings.database.get_secret_value(),
        pool_size=max(settings.db_pool_size, settings.control_threads),
        auto_upgrade=embedded,
    )


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The artifact store of the settings. Nothing is asked of it yet."""
    if settings.artifact_store == "file":
        return LocalArtifactStore(settings.data_dir / "artifacts")
    from registry_grpc.storage.artifacts.s3 import S3ArtifactStore  # noqa: PLC0415 - the embedded default starts without

    access, secret = settings.s3_access_key, settings.s3_secret
    return S3ArtifactStore(
        settings.s3_endpoint or "",
        access.get_secret_value() if access else "",
        secret.get_secret_value() if secret else "",
        settings.s3_bucket,
        secure=settings.s3_secure,
        region=settings.s3_region,
        public_endpoint=settings.s3_public_endpoint,
        connections=settings.transfer_threads * 2,
    )
