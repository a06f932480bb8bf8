"""Deployments that differ from what should run, found by one statement. `domain.drift` says in what ways, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, case, func, or_, select

from registry_grpc.domain.deployments import UNHEALTHY, DeploymentState
from registry_grpc.domain.drift import Desired, Observation, Running
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql.deployment_rows import conditions
from registry_grpc.storage.sql.tables import deployment as table
from registry_grpc.storage.sql.tables import model, pointer, stage_assignment, version

if TYPE_CHECKING:
    from registry_grpc.domain.deployments import Deployment, DeploymentFilter
    from registry_grpc.storage.sql.session import Record

_desired = version.alias("desired")
_FOLLOWED = (
    (pointer.c.model_uid == table.c.model_uid)
    & (pointer.c.kind == PointerKind.STAGE)
    & (pointer.c.id == table.c.stage)
    & (table.c.stage != "")
)
_JOINED = (
    table.outerjoin(version, version.c.uid == table.c.version_uid)
    .outerjoin(model, model.c.uid == table.c.model_uid)
    .outerjoin(pointer, _FOLLOWED)
    .outerjoin(_desired, _desired.c.uid == pointer.c.version_uid)
)
_MOVED = (
    select(func.max(stage_assignment.c.assign_time))
    .where(stage_assignment.c.version_uid == table.c.version_uid)
    .correlate(table)
    .scalar_subquery()
    .label("moved_time")
)
_EARLIER = case(
    (model.c.delete_time.is_(None), version.c.delete_time),
    (version.c.delete_time.is_(None), model.c.delete_time),
    (model.c.delete_time < version.c.delete_time, model.c.delete_time),
    else_=version.c.delete_time,
)
_NOW = bindparam("now", type_=table.c.expire_time.type)
_DIFFERS = or_(
    # Other content than its version's; a version that is gone, yanked or archived.
    table.c.manifest_digest != version.c.manifest_digest,
    version.c.uid.is_(None),
    version.c.delete_time.is_not(None),
    model.c.delete_time.is_not(None),
    version.c.state == VersionState.YANKED,
    version.c.stage.in_(bindparam("archives", expanding=True)),
    # Another version than the holder's, or no holder.
    (table.c.stage != "") & (_desired.c.uid.is_(None) | (_desired.c.uid != table.c.version_uid)),
    table.c.expire_time < _NOW,
    table.c.state.in_(sorted(UNHEALTHY)),
)
_ALL = (
    select(
        table,
        version.c.uid.label("running_uid"),
        version.c.manifest_digest.label("running_digest"),
        version.c.state.label("running_state"),
        version.c.stage.label("running_stage"),
        version.c.update_time.label("running_update_time"),
        _EARLIER.label("running_delete_time"),
        pointer.c.model_uid.label("followed"),
        pointer.c.set_time.label("desired_set_time"),
        _desired.c.uid.label("desired_uid"),
        _desired.c.number.label("desired_number"),
        _desired.c.manifest_digest.label("desired_digest"),
        _MOVED,
    )
    .select_from(_JOINED)
    .where(table.c.state != DeploymentState.RETIRED, table.c.id > bindparam("after"), _DIFFERS)
    .order_by(table.c.id)
    .limit(bindparam("limit"))
)


def statement(wanted: DeploymentFilter) -> Select[Any]:
    """Those that differ, of a project; values are those of `deployment_rows.bound`, and archives, after, limit, now."""
    return _ALL.where(*conditions(table, wanted))


def to_observation(row: Record, deployment: Deployment) -> Observation:
    """A row of the statement."""
    running = desired = None
    if row.running_uid is not None:
        running = Running(
            manifest_digest=row.running_digest,
            state=row.running_state,
            stage=row.running_stage,
            update_time=row.running_update_time,
            delete_time=row.running_delete_time,
        )
    if row.followed is not None:
        of = ModelName(deployment.version.project, deployment.version.model)
        held = row.desired_uid is not None
        desired = Desired(
            version=of.version(row.desired_number) if held else None,
            version_uid=row.desired_uid if held else "",
            manifest_digest=row.desired_digest if held else "",
            set_time=row.desired_set_time,
        )
    return Observation(deployment=deployment, running=running, desired=desired, moved_time=row.moved_time)
