"""Deployments, their runs, drift and consumers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from registry_grpc.domain.consumers import Use
from registry_grpc.domain.deployments import DEFAULT_TTL, MAX_TTL, MIN_TTL, DeploymentState, Place
from registry_grpc.domain.drift import DriftKind
from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.names import VersionName
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.times import (
    duration_from_wire,
    duration_to_wire,
    optional_time_from_wire,
    optional_time_to_wire,
    time_to_wire,
)
from registry_grpc.usecases.reports import Report
from registry_grpc.v1 import deployments_pb2

if TYPE_CHECKING:
    from datetime import timedelta

    from registry_grpc.domain.consumers import Consumer
    from registry_grpc.domain.deployments import Deployment, DeploymentRun
    from registry_grpc.domain.drift import Drift

STATE = EnumCodec(DeploymentState, deployments_pb2.DeploymentState, "DEPLOYMENT_STATE_")
KIND = EnumCodec(DriftKind, deployments_pb2.Drift.Kind, "KIND_")
USE = EnumCodec(Use, deployments_pb2.Consumer.Use, "USE_")
_DAY = "%Y-%m-%d"


def deployment_to_wire(deployment: Deployment) -> deployments_pb2.Deployment:
    """The resource."""
    place = deployment.place
    return deployments_pb2.Deployment(
        name=str(deployment.name),
        uid=deployment.uid,
        version=str(deployment.version),
        manifest_digest=deployment.manifest_digest,
        stage=deployment.stage,
        environment=place.environment,
        cluster=place.cluster,
        namespace=place.namespace,
        workload=place.workload,
        slot=place.slot,
        state=STATE.to_wire(deployment.state),
        traffic_percent=deployment.traffic_percent,
        message=deployment.message,
        uri=deployment.uri,
        annotations=deployment.annotations,
        start_time=time_to_wire(deployment.start_time),
        heartbeat_ttl=duration_to_wire(deployment.heartbeat_ttl),
        heartbeat_time=time_to_wire(deployment.heartbeat_time),
        stale=deployment.stale,
        reporter=deployment.reporter,
        create_time=time_to_wire(deployment.create_time),
        update_time=time_to_wire(deployment.update_time),
        retire_time=optional_time_to_wire(deployment.retire_time),
        etag=deployment.etag,
        revision=deployment.revision,
    )


def report_from_wire(message: deployments_pb2.Deployment, path: str = "deployment") -> Report:
    """What a workload says of itself.

    Raises: INVALID_FIELD for a state that is not reported, a heartbeat_ttl out of its range, or a `name` that does not
        follow from the rest; INVALID_RESOURCE_NAME.
    """
    state = STATE.from_wire(message.state, f"{path}.state")
    if state is DeploymentState.RETIRED:
        raise invalid_field(f"{path}.state", "RETIRED is not reported; call RetireDeployment")
    report = Report(
        version=VersionName.parse(message.version, f"{path}.version"),
        place=Place(
            environment=message.environment,
            cluster=message.cluster,
            namespace=message.namespace,
            workload=message.workload,
            slot=message.slot,
        ),
        manifest_digest=message.manifest_digest,
        stage=message.stage,
        state=state,
        traffic_percent=message.traffic_percent if message.HasField("traffic_percent") else None,
        message=message.message,
        uri=message.uri,
        annotations=dict(message.annotations),
        heartbeat_ttl=_ttl(message, f"{path}.heartbeat_ttl"),
        start_time=optional_time_from_wire(message, "start_time", path),
        etag=message.etag,
    )
    if message.name not in {"", str(report.name)}:
        raise invalid_field(f"{path}.name", f"is not {report.name}, which follows from the rest; leave it empty")
    return report


def _ttl(message: deployments_pb2.Deployment, path: str) -> timedelta:
    if not message.HasField("heartbeat_ttl"):
        return DEFAULT_TTL
    ttl = duration_from_wire(message.heartbeat_ttl, path)
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise invalid_field(path, f"is {ttl.total_seconds():g} s; must be 10 s to 30 days")
    return ttl


def run_to_wire(run: DeploymentRun) -> deployments_pb2.DeploymentRun:
    """One run."""
    return deployments_pb2.DeploymentRun(
        deployment=str(run.deployment),
        version=str(run.version),
        manifest_digest=run.manifest_digest,
        environment=run.place.environment,
        cluster=run.place.cluster,
        namespace=run.place.namespace,
        workload=run.place.workload,
        slot=run.place.slot,
        stage=run.stage,
        start_time=time_to_wire(run.start_time),
        end_time=optional_time_to_wire(run.end_time),
        reporter=run.reporter,
    )


def drift_to_wire(drift: Drift) -> deployments_pb2.Drift:
    """Where one deployment differs."""
    desired = drift.desired
    return deployments_pb2.Drift(
        deployment=deployment_to_wire(drift.deployment),
        kinds=[KIND.to_wire(kind) for kind in drift.kinds],
        desired_version=str(desired.version) if desired is not None and desired.version is not None else "",
        desired_manifest_digest=desired.manifest_digest if desired is not None else "",
        since_time=time_to_wire(drift.since_time),
    )


def consumer_to_wire(consumer: Consumer) -> deployments_pb2.Consumer:
    """One row."""
    return deployments_pb2.Consumer(
        principal=consumer.principal,
        version=str(consumer.version),
        use=USE.to_wire(consumer.use),
        day=consumer.day,
        count=consumer.count,
        last_time=time_to_wire(consumer.last_time),
    )


def day_from_wire(text: str, path: str) -> date | None:
    """A day; None when it is empty.

    Raises: INVALID_FIELD.
    """
    if not text:
        return None
    try:
        day = datetime.strptime(text, _DAY).replace(tzinfo=UTC).date()
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise invalid_field(path, f"{text!r} is no day; write it as 2026-11-21")
    return day
