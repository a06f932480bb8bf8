"""The servicers and the use cases in them: the second half of the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.observability.observers import TransferCounts, WatchCounts
from registry_grpc.server.access import access_servicer
from registry_grpc.server.cataloguing import model_servicer, project_servicer
from registry_grpc.server.deploying import deployment_servicer
from registry_grpc.server.evidencing import evidence_servicer
from registry_grpc.server.facts import server_facts
from registry_grpc.server.governing import governance_servicer, stage_servicer
from registry_grpc.server.lineage import lineage_servicer
from registry_grpc.server.searching import catalogue_servicer
from registry_grpc.services.artifacts import ArtifactServicer, ArtifactVerbs
from registry_grpc.services.audit import AuditServicer, AuditVerbs
from registry_grpc.services.downloads import Downloads
from registry_grpc.services.events import EventServicer
from registry_grpc.services.pages import Pages
from registry_grpc.services.paging import PageTokens
from registry_grpc.services.server_info import ServerServicer
from registry_grpc.services.uploads import Uploads
from registry_grpc.services.watching import Watches
from registry_grpc.services.webhooks import WebhookServicer, WebhookVerbs
from registry_grpc.storage.artifacts.hashing import PartHasher
from registry_grpc.storage.artifacts.verifying import VerifiedReads
from registry_grpc.usecases import attach, events, files
from registry_grpc.usecases import uploads as upload_verbs
from registry_grpc.usecases.upload_writer import UploadWriter
from registry_grpc.v1 import (
    access_pb2_grpc,
    artifacts_pb2_grpc,
    audit_pb2_grpc,
    catalogue_pb2_grpc,
    deployments_pb2_grpc,
    events_pb2_grpc,
    evidence_pb2_grpc,
    governance_pb2_grpc,
    lineage_pb2_grpc,
    models_pb2_grpc,
    projects_pb2_grpc,
    server_pb2_grpc,
    stages_pb2_grpc,
    webhooks_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.auth.view import AccessView
    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.holders import Holders
    from registry_grpc.server.composition import Adder
    from registry_grpc.services.consumption import Consumption
    from registry_grpc.services.edge import Edge, Pool
    from registry_grpc.services.resolving import Resolver
    from registry_grpc.services.stages import StageObserver
    from registry_grpc.usecases.garbage import CollectGarbage
    from registry_grpc.usecases.governance.gate import Gate
    from registry_grpc.usecases.purge import Purger
    from registry_grpc.watch.recent import Recent

MAX_FILES = 10_000
FIND_LEASE = timedelta(hours=2)
"""Bytes a caller was told are here are kept for so long; an hour of it is promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What the servicers are built on."""

    edge: Edge
    transfer: Pool
    artifacts: ArtifactStore
    ids: Ids
    resolver: Resolver
    consumers: Consumption
    recent: Recent
    watch_max_age_s: float
    stage_observer: StageObserver
    metrics: Metrics
    access: AccessView
    draft_retention: timedelta
    upload_retention: timedelta
    undelete_window: timedelta
    holders: Sequence[Holders]
    """What keeps versions from being deleted."""
    purger: Purger
    garbage: CollectGarbage
    gate: Gate
    can_sign: bool
    max_uploads: int
    max_open_uploads: int
    upload_idle_s: float
    upload_min_bytes_per_s: float
    upload_leave_after_s: float
    webhooks: WebhookVerbs | None
    """None without a key for their secrets."""
    audit: AuditVerbs


def servicers(core: Core) -> tuple[Sequence[Adder], Uploads, Watches]:
    """What adds each servicer to a server, and the uploads and watches to end before it stops."""
    pages = Pages(PageTokens(core.edge.store.registry_uid))
    counts = TransferCounts(core.metrics)
    uploads = Uploads(
        writer=_writer(core),
        transfer=core.transfer,
        control=core.edge.control,
        observer=counts,
        max_open=core.max_uploads,
        idle_s=core.upload_idle_s,
        min_bytes_per_s=core.upload_min_bytes_per_s,
        leave_after_s=core.upload_leave_after_s,
    )
    locate = files.LocateArtifact(core.edge.store)
    verified = VerifiedReads(core.artifacts)
    downloads = Downloads(
        core.edge,
        core.transfer,
        locate,
        lambda artifact, blob, offset, length: verified.blocks(blob, offset, length, artifact=artifact.name),
        counts,
        core.consumers,
    )
    server = ServerServicer(core.edge, server_facts(core, MAX_FILES), core.garbage, core.transfer)
    project = project_servicer(core, pages)
    model = model_servicer(core, pages, MAX_FILES)
    artifact = ArtifactServicer(core.edge, pages, _artifact_verbs(core, locate), uploads, downloads, core.consumers)
    stage = stage_servicer(core.edge, pages, core.resolver, core.stage_observer, core.gate)
    access = access_servicer(core.edge, pages, core.access, core.ids)
    watches = _watches(core)
    event = EventServicer(core.edge, watches)
    deployment = deployment_servicer(core.edge, pages, core.ids)
    governance = governance_servicer(core.edge, pages, core.ids, core.gate)
    evidence = evidence_servicer(core.edge, pages, core.ids, MAX_FILES)
    catalogue = catalogue_servicer(core.edge, pages, MAX_FILES)
    webhook = WebhookServicer(core.edge, pages, core.webhooks)
    audit = AuditServicer(core.edge, pages, core.audit)
    lineage = lineage_servicer(core.edge, pages, core.ids)
    return (
        [
            lambda grpc: events_pb2_grpc.add_EventServiceServicer_to_server(event, grpc),
            lambda grpc: audit_pb2_grpc.add_AuditServiceServicer_to_server(audit, grpc),
            lambda grpc: access_pb2_grpc.add_AccessServiceServicer_to_server(access, grpc),
            lambda grpc: server_pb2_grpc.add_ServerServiceServicer_to_server(server, grpc),
            lambda grpc: projects_pb2_grpc.add_ProjectServiceServicer_to_server(project, grpc),
            lambda grpc: models_pb2_grpc.add_ModelServiceServicer_to_server(model, grpc),
            lambda grpc: artifacts_pb2_grpc.add_ArtifactServiceServicer_to_server(artifact, grpc),
            lambda grpc: governance_pb2_grpc.add_GovernanceServiceServicer_to_server(governance, grpc),
            lambda grpc: stages_pb2_grpc.add_StageServiceServicer_to_server(stage, grpc),
            lambda grpc: deployments_pb2_grpc.add_DeploymentServiceServicer_to_server(deployment, grpc),
            lambda grpc: evidence_pb2_grpc.add_EvidenceServiceServicer_to_server(evidence, grpc),
            lambda grpc: lineage_pb2_grpc.add_LineageServiceServicer_to_server(lineage, grpc),
            lambda grpc: webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(webhook, grpc),
            lambda grpc: catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(catalogue, grpc),
        ],
        uploads,
        watches,
    )


def _watches(core: Core) -> Watches:
    store = core.edge.store
    return Watches(
        edge=core.edge,
        recent=core.recent,
        read=events.ReadEvents(store),
        find=events.FindPosition(store),
        state=events.ReadState(store),
        observer=WatchCounts(core.metrics),
        max_age_s=core.watch_max_age_s,
    )


def _writer(core: Core) -> UploadWriter:
    return UploadWriter(
        core.edge.store,
        core.artifacts,
        core.ids,
        PartHasher,
        max_files=MAX_FILES,
        draft_retention=core.draft_retention,
        upload_retention=core.upload_retention,
    )


def _artifact_verbs(core: Core, locate: files.LocateArtifact) -> ArtifactVerbs:
    store = core.edge.store
    return ArtifactVerbs(
        find_missing=attach.FindMissingArtifacts(store, FIND_LEASE),
        attach=attach.AttachArtifacts(store, MAX_FILES, core.draft_retention),
        start_upload=upload_verbs.StartUpload(
            store,
            core.ids,
            MAX_FILES,
            core.draft_retention,
            core.upload_retention,
            core.max_open_uploads,
        ),
        get_upload=upload_verbs.GetUpload(store),
        list_uploads=upload_verbs.ListUploads(store),
        cancel_upload=upload_verbs.CancelUpload(store, core.artifacts),
        get=files.GetArtifact(store),
        list=files.ListArtifacts(store),
        sign_url=files.SignArtifactUrl(store, core.artifacts, locate),
    )
