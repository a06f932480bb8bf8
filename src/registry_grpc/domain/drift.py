"""How what runs differs from what should run, and since when. Pure: judged from what one read saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from registry_grpc.domain.deployments import UNHEALTHY, DeploymentState
from registry_grpc.domain.resources import VersionState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from registry_grpc.domain.deployments import Deployment
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Project

    Reason = tuple["DriftKind", datetime]


class DriftKind(StrEnum):
    """In what way a deployment is not as it should be."""

    VERSION_DIFFERS = "version_differs"
    DIGEST_DIFFERS = "digest_differs"
    NO_HOLDER = "no_holder"
    VERSION_WITHDRAWN = "version_withdrawn"
    STALE = "stale"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The version that a deployment says it runs, as it is now."""

    manifest_digest: str
    state: VersionState
    stage: str
    update_time: datetime
    delete_time: datetime | None
    """Of the version or of its model, the earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Where the stage that a deployment follows points."""

    version: VersionName | None
    """None while nobody holds it."""
    version_uid: str
    manifest_digest: str
    set_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One deployment with what it is to be held against."""

    deployment: Deployment
    running: Running | None
    """None when the version is purged."""
    desired: Desired | None
    """None when it follows no stage, or one that nobody ever held."""
    moved_time: datetime | None
    """When the version last came to another stage, or lost its stage by being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Where a deployment is not as it should be."""

    deployment: Deployment
    kinds: tuple[DriftKind, ...]
    desired: Desired | None
    since_time: datetime
    """The oldest of its reasons."""


def archive_stages(project: Project) -> frozenset[str]:
    """Stages in which a version is out of use: `archived`, and where displaced holders go without any way on."""
    leaving = {stage.displaced_to for stage in project.stages if stage.displaced_to}
    return frozenset(
        stage.id
        for stage in project.stages
        if stage.id == "archived"
        or (stage.id in leaving and not (stage.initial or stage.protected or stage.displaced_to))
    )


def drift_of(seen: Observation, archives: Collection[str], now: datetime) -> Drift | None:
    """In what ways it differs; None when in none, or when it is retired."""
    if seen.deployment.state is DeploymentState.RETIRED:
        return None
    reasons = [*_followed(seen), *_content(seen, archives), *_health(seen.deployment, now)]
    if not reasons:
        return None
    return Drift(
        deployment=seen.deployment,
        kinds=tuple(kind for kind, _ in reasons),
        desired=seen.desired,
        since_time=min(since for _, since in reasons),
    )


def _followed(seen: Observation) -> Iterator[Reason]:
    """It is compared from when it both followed the stage and ran the version."""
    deployment, desired = seen.deployment, seen.desired
    if not deployment.stage:
        return
    begin = deployment.follow_time
    moved = max(begin, desired.set_time) if desired is not None and desired.set_time is not None else begin
    if desired is None or desired.version is None:
        yield DriftKind.NO_HOLDER, moved
    elif desired.version_uid != deployment.version_uid:
        yield DriftKind.VERSION_DIFFERS, max(moved, deployment.start_time)


def _content(seen: Observation, archives: Collection[str]) -> Iterator[Reason]:
    deployment, running = seen.deployment, seen.running
    start = deployment.start_time
    if running is not None and running.manifest_digest != deployment.manifest_digest:
        yield DriftKind.DIGEST_DIFFERS, start
    if running is None:
        yield DriftKind.VERSION_WITHDRAWN, max(start, seen.moved_time or start)
    elif running.delete_time is not None:
        yield DriftKind.VERSION_WITHDRAWN, max(start, running.delete_time)
    elif running.state is VersionState.YANKED:
        yield DriftKind.VERSION_WITHDRAWN, max(start, running.update_time)
    elif running.stage in archives:
        yield DriftKind.VERSION_WITHDRAWN, max(start, seen.moved_time or start)


def _health(deployment: Deployment, now: datetime) -> Iterator[Reason]:
    if deployment.expire_time < now:
        yield DriftKind.STALE, deployment.expire_time
    if deployment.state in UNHEALTHY:
        yield DriftKind.UNHEALTHY, deployment.state_time
