"""What runs where, as its reporter says, and how that differs from what should run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import DeploymentName, ModelName, VersionName

MIN_TTL = timedelta(seconds=10)
MAX_TTL = timedelta(days=30)
DEFAULT_TTL = timedelta(minutes=5)
AHEAD = timedelta(minutes=5)
"""How far a reporter's clock may be ahead of the database's."""
_ID_CHARS = 20


class DeploymentState(StrEnum):
    """How a deployment is, as its reporter says. `RETIRED` is never reported."""

    PENDING = "pending"
    ROLLING_OUT = "rolling_out"
    SERVING = "serving"
    DEGRADED = "degraded"
    FAILED = "failed"
    RETIRED = "retired"


UNHEALTHY = frozenset({DeploymentState.DEGRADED, DeploymentState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model runs; with the model it tells deployments apart."""

    environment: str
    cluster: str = ""
    namespace: str = ""
    workload: str
    slot: str = ""


def deployment_name(model: ModelName, place: Place) -> DeploymentName:
    """The name of what runs a model at a place: every replica, and every retry, comes to the same.

    The id is the first 20 hex characters of the SHA-256 over project, model, environment, cluster, namespace, workload
    and slot, each as UTF-8 behind its length in 4 big-endian bytes.
    """
    digest = hashlib.sha256()
    texts = (place.environment, place.cluster, place.namespace, place.workload, place.slot)
    for text in (model.project, model.model, *texts):
        data = text.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return DeploymentName(model.project, digest.hexdigest()[:_ID_CHARS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A version of a model that a workload runs."""

    uid: str
    name: DeploymentName
    version: VersionName
    version_uid: str
    model_uid: str
    manifest_digest: str
    """Of what runs; that of the version where the reporter said nothing else."""
    stage: str = ""
    """Stage it follows; empty for none."""
    follow_time: datetime
    """Since when it follows that stage, or none."""
    place: Place
    state: DeploymentState
    state_time: datetime
    """Since when it is in that state."""
    traffic_percent: int | None = None
    message: str = ""
    uri: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    start_time: datetime
    """Since when it runs this version."""
    heartbeat_ttl: timedelta = DEFAULT_TTL
    heartbeat_time: datetime
    stale: bool = False
    """Nothing was heard of it for longer than `heartbeat_ttl`, when this was read."""
    marked_stale: bool = False
    """An event told that it went stale, and none that it came back."""
    reporter: str
    create_time: datetime
    update_time: datetime
    retire_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)

    @property
    def expire_time(self) -> datetime:
        """It is stale after this."""
        return self.heartbeat_time + self.heartbeat_ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRun:
    """A time during which a deployment ran one version: from `start_time` on and before `end_time`."""

    deployment: DeploymentName
    version: VersionName
    version_uid: str
    model_uid: str
    manifest_digest: str
    place: Place
    stage: str
    start_time: datetime
    end_time: datetime | None = None
    """None while it runs."""
    reporter: str
    revision: int
    """Of the report that it began; no other run has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFilter:
    """Which deployments are wanted, of one project."""

    project: str
    model: str = ""
    number: int = 0
    environment: str = ""
    cluster: str = ""
    states: frozenset[DeploymentState] = frozenset()
    """Empty for all but RETIRED."""
    stale_only: bool = False
    only: frozenset[str] | None = None
    """Ids of the models the caller may see; None for all there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are wanted, of one project."""

    project: str
    model: str = ""
    number: int = 0
    environment: str = ""
    cluster: str = ""
    ends_after: datetime | None = None
    """Only those that ran at this time or later."""
    begins_before: datetime | None = None
    only: frozenset[str] | None = None
    """As in `DeploymentFilter`."""


def deployment_not_found(name: DeploymentName) -> RegistryError:
    """The error for an absent deployment; the same for one of a model the caller may not see."""
    return RegistryError(
        Reason.DEPLOYMENT_NOT_FOUND,
        f"{name} does not exist; report it, or list the deployments of projects/{name.project}",
        resource=name,
    )


def run_begin(given: datetime | None, now: datetime, last: DeploymentRun | None) -> datetime:
    """When a run begins: when its reporter says, unless that lies in the future or in the run before; then now."""
    floor = None if last is None else last.end_time or last.start_time
    if given is not None and given <= now + AHEAD and (floor is None or given >= floor):
        return given
    return now if floor is None else max(now, floor)
