"""Rows of deployments and runs, and what their lists filter by."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from registry_grpc.domain.deployments import Deployment, Place
from registry_grpc.domain.names import DeploymentName, ModelName
from registry_grpc.storage.sql.tables import model

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from registry_grpc.domain.deployments import DeploymentFilter, RunFilter
    from registry_grpc.storage.sql.session import Record

_US = timedelta(microseconds=1)
_FILTERS = ("model", "number", "environment", "cluster")


def conditions(of: Table, wanted: DeploymentFilter | RunFilter) -> list[ColumnElement[bool]]:
    """What a filter asks of a table of things that run somewhere; values are those of `bound`."""
    found = [of.c.project == bindparam("in_project")]
    found += [of.c[column] == bindparam(f"in_{column}") for column in _FILTERS if getattr(wanted, column)]
    if wanted.only is not None:
        # By the uid of the model there is now: who may see it may not see another one that had its name before.
        seen = select(model.c.uid).where(
            model.c.project == bindparam("in_project"), model.c.id.in_(bindparam("only", expanding=True))
        )
        found.append(of.c.model_uid.in_(seen))
    return found


def bound(wanted: DeploymentFilter | RunFilter) -> dict[str, Any]:
    """The values for `conditions`."""
    values = {f"in_{name}": getattr(wanted, name) for name in ("project", *_FILTERS)}
    return values | ({"only": sorted(wanted.only)} if wanted.only is not None else {})


def to_place(row: Record) -> Place:
    """Where it runs."""
    return Place(
        environment=row.environment,
        cluster=row.cluster,
        namespace=row.namespace,
        workload=row.workload,
        slot=row.slot,
    )


def place_values(place: Place) -> dict[str, str]:
    """The same as columns."""
    return {
        "environment": place.environment,
        "cluster": place.cluster,
        "namespace": place.namespace,
        "workload": place.workload,
        "slot": place.slot,
    }


def to_deployment(row: Record, *, stale: bool) -> Deployment:
    """The resource."""
    return Deployment(
        uid=row.uid,
        name=DeploymentName(row.project, row.id),
        version=ModelName(row.project, row.model).version(row.number),
        version_uid=row.version_uid,
        model_uid=row.model_uid,
        manifest_digest=row.manifest_digest,
        stage=row.stage,
        follow_time=row.follow_time,
        place=to_place(row),
        state=row.state,
        state_time=row.state_time,
        traffic_percent=row.traffic_percent,
        message=row.message,
        uri=row.uri,
        annotations=row.annotations,
        start_time=row.start_time,
        heartbeat_ttl=timedelta(microseconds=row.heartbeat_ttl_us),
        heartbeat_time=row.heartbeat_time,
        stale=stale,
        marked_stale=row.marked_stale,
        reporter=row.reporter,
        create_time=row.create_time,
        update_time=row.update_time,
        retire_time=row.retire_time,
        revision=row.revision,
    )


def to_values(deployment: Deployment) -> dict[str, Any]:
    """The row."""
    return {
        "project": deployment.name.project,
        "id": deployment.name.deployment,
        "uid": deployment.uid,
        "model": deployment.version.model,
        "number": deployment.version.number,
        "model_uid": deployment.model_uid,
        "version_uid": deployment.version_uid,
        "manifest_digest": deployment.manifest_digest,
        "stage": deployment.stage,
        "follow_time": deployment.follow_time,
        **place_values(deployment.place),
        "state": deployment.state,
        "state_time": deployment.state_time,
        "traffic_percent": deployment.traffic_percent,
        "message": deployment.message,
        "uri": deployment.uri,
        "annotations": deployment.annotations,
        "start_time": deployment.start_time,
        "heartbeat_ttl_us": deployment.heartbeat_ttl // _US,
        "heartbeat_time": deployment.heartbeat_time,
        "expire_time": deployment.expire_time,
        "marked_stale": deployment.marked_stale,
        "reporter": deployment.reporter,
        "create_time": deployment.create_time,
        "update_time": deployment.update_time,
        "retire_time": deployment.retire_time,
        "revision": deployment.revision,
    }
