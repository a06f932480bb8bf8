"""ReportDeployment: what a workload says it runs, held against what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.deployments import (
    Deployment,
    DeploymentRun,
    DeploymentState,
    Place,
    deployment_name,
    deployment_not_found,
    run_begin,
)
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.stages import stage_of
from registry_grpc.usecases.checks import locked_model, require_etag, require_live_version, require_same_project
from registry_grpc.usecases.deployments import followed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import DeploymentName, ProjectName, VersionName
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a workload says of itself."""

    version: VersionName
    place: Place
    manifest_digest: str
    """Empty for that of the version."""
    stage: str
    state: DeploymentState
    traffic_percent: int | None
    message: str
    uri: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    heartbeat_ttl: timedelta
    start_time: datetime | None
    """Counts only where a run begins."""
    etag: str = ""

    @property
    def name(self) -> DeploymentName:
        """The deployment it is about."""
        return deployment_name(self.version.parent, self.place)


@dataclass(frozen=True, slots=True)
class ReportDeployment:
    """Makes a deployment, changes it, or notes that it is as it was."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Deployment], project: ProjectName, report: Report) -> Committed[Deployment]:
        """The deployment as it is now.

        Raises: INVALID_FIELD for a version of another project, MODEL_NOT_FOUND, VERSION_NOT_FOUND, VERSION_STATE for a
            draft, STAGE_NOT_FOUND, ETAG_MISMATCH, DEPLOYMENT_NOT_FOUND for an etag of one that is not there.
        """
        require_same_project(project.project, report.version.project, "deployment.version")
        uid = self.ids.uuid()

        def work(unit: Unit) -> Deployment:
            known = unit.deployments.get(report.name)
            if known is not None and not call.grant.conditions:
                # Without a lock that others wait for.
                require_etag(known, report.etag)
                heard = _heard(unit, call, report, known, unit.versions.get(report.version))
                if heard is not None:
                    return heard
            return self._changed(unit, call, report, uid)

        return self.store.write(work, call)

    def _changed(self, unit: Unit, call: Call[Deployment], report: Report, uid: str) -> Deployment:
        model = locked_model(unit, report.version.parent)
        version = unit.versions.get(report.version)
        known = unit.deployments.lock(report.name)
        stages = followed(report.stage, known.stage if known else "")
        call.grant.require(version.name, stages=stages, tags=(model.tags, version.tags))
        _require_etag(report, known)
        if known is None or known.state is DeploymentState.RETIRED or known.version_uid != version.uid:
            # What it ran when it was last heard of may be deleted meanwhile: then this is the truth, and drift.
            require_live_version(version)
        _require_finalized(version)
        heard = _heard(unit, call, report, known, version) if known else None
        if heard is not None:
            return heard
        if report.stage and (known is None or known.stage != report.stage):
            stage_of(unit.projects.get(report.version.project), report.stage)
        last = unit.deployment_runs.last(report.name)
        revision = unit.advance(str(report.name))
        before = known or _new(report, version, uid, call.principal.name, unit.now)
        after = replace(
            _timed(before, _applied(before, report, version), unit.now),
            heartbeat_time=unit.now,
            stale=False,
            marked_stale=False,
            reporter=call.principal.name,
            revision=revision,
        )
        if known is None or _runs_other(known, after):
            begin = run_begin(report.start_time, unit.now, last)
            follow = min(after.follow_time, begin) if known is None else after.follow_time
            after = replace(after, start_time=begin, follow_time=follow)
            unit.deployment_runs.end(report.name, begin)
            unit.deployment_runs.begin(_run(after))
        unit.deployments.put(after)
        for action in _actions(known, after):
            unit.record(action, after)
        return after


def _heard(
    unit: Unit, call: Call[Deployment], report: Report, known: Deployment, version: Version
) -> Deployment | None:
    """The deployment, when the report says nothing new: no more than a heartbeat, without a revision."""
    if known.marked_stale or _applied(known, report, version) != known:
        return None
    if not unit.deployments.touch(known, call.principal.name):
        return None
    return replace(known, heartbeat_time=unit.now, stale=False, reporter=call.principal.name)


def _new(report: Report, version: Version, uid: str, reporter: str, now: datetime) -> Deployment:
    return Deployment(
        uid=uid,
        name=report.name,
        version=version.name,
        version_uid=version.uid,
        model_uid=version.model_uid,
        manifest_digest=report.manifest_digest or version.manifest_digest,
        follow_time=now,
        place=report.place,
        state=report.state,
        state_time=now,
        start_time=now,
        heartbeat_time=now,
        reporter=reporter,
        create_time=now,
        update_time=now,
    )


def _applied(before: Deployment, report: Report, version: Version) -> Deployment:
    """`before` with what the report says; times are left as they were."""
    return replace(
        before,
        version=version.name,
        version_uid=version.uid,
        model_uid=version.model_uid,
        manifest_digest=report.manifest_digest or version.manifest_digest,
        stage=report.stage,
        state=report.state,
        traffic_percent=report.traffic_percent,
        message=report.message,
        uri=report.uri,
        annotations=report.annotations,
        heartbeat_ttl=report.heartbeat_ttl,
        retire_time=None,
    )


def _timed(before: Deployment, after: Deployment, now: datetime) -> Deployment:
    """`after` with the times at which what changed in it changed."""
    if after == before:
        return after
    return replace(
        after,
        update_time=now,
        follow_time=now if after.stage != before.stage else before.follow_time,
        state_time=now if after.state is not before.state else before.state_time,
    )


def _runs_other(before: Deployment, after: Deployment) -> bool:
    back = before.state is DeploymentState.RETIRED
    return back or (before.version_uid, before.manifest_digest) != (after.version_uid, after.manifest_digest)


def _actions(before: Deployment | None, after: Deployment) -> list[Action]:
    if before is None:
        return [Action.CREATED]
    actions = [Action.CAME_BACK] if before.marked_stale else []
    return [*actions, Action.UPDATED] if after.update_time != before.update_time or not actions else actions


def _run(deployment: Deployment) -> DeploymentRun:
    return DeploymentRun(
        deployment=deployment.name,
        version=deployment.version,
        version_uid=deployment.version_uid,
        model_uid=deployment.model_uid,
        manifest_digest=deployment.manifest_digest,
        place=deployment.place,
        stage=deployment.stage,
        start_time=deployment.start_time,
        reporter=deployment.reporter,
        revision=deployment.revision,
    )


def _require_etag(report: Report, known: Deployment | None) -> None:
    if known is not None:
        require_etag(known, report.etag)
    elif report.etag:
        raise deployment_not_found(report.name)


def _require_finalized(version: Version) -> None:
    """Raises: VERSION_STATE for a draft: its content may still change."""
    if version.state is VersionState.DRAFT:
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{version.name} is DRAFT; finalize it before it is deployed",
            version=version.name,
            state="DRAFT",
        )
