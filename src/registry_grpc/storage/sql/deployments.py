"""Deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, delete, func, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.ports.deployments import Beats
from registry_grpc.storage.sql import drifts
from registry_grpc.storage.sql.deployment_rows import bound, conditions, to_deployment, to_values
from registry_grpc.storage.sql.projects import live_project
from registry_grpc.storage.sql.tables import deployment as table
from registry_grpc.storage.sql.tables import deployment_run as run
from registry_grpc.storage.sql.tables import model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.deployments import Deployment, DeploymentFilter
    from registry_grpc.domain.drift import Observation
    from registry_grpc.domain.names import DeploymentName
    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.project == bindparam("in_project")) & (table.c.id == bindparam("with_id"))
_NOW = bindparam("now", type_=table.c.expire_time.type)
_RUNS = table.c.state != DeploymentState.RETIRED
_HEARD = _RUNS & (table.c.expire_time >= _NOW)
_GET = select(table).where(_NAMED, live_project(bindparam("in_project")))
_LOCK = _GET.with_for_update(of=table)
_IDS = table.c.id.in_(bindparam("ids", expanding=True))
_FIND = select(table).where(table.c.project == bindparam("in_project"), _IDS)
_PRESENT = (
    select(table)
    .where(table.c.project == bindparam("in_project"), _RUNS, table.c.id > bindparam("after"))
    .order_by(table.c.id)
    .limit(bindparam("limit"))
)
_PRESENT_OF_MODEL = _PRESENT.where(table.c.model == bindparam("in_model"))
_INSERT = upsert(table)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[table.c.project, table.c.id],
    set_={
        column.name: _INSERT.excluded[column.name]
        for column in table.c
        if column.name not in {"project", "id", "uid", "create_time"}
    },
)
_TOUCH = (
    update(table)
    .where(_NAMED, table.c.revision == bindparam("seen"), _RUNS)
    .values(heartbeat_time=_NOW, expire_time=_NOW + table.c.heartbeat_ttl_us, reporter=bindparam("by"))
)
# In one order, so that two batches with the same names do not wait for each other.
_BEATING = (
    select(table.c.id)
    .where(table.c.project == bindparam("in_project"), _IDS, _RUNS)
    .order_by(table.c.id)
    .with_for_update(key_share=True)
)
_BEAT = (
    update(table)
    .where(table.c.project == bindparam("in_project"), table.c.id.in_(_BEATING))
    .values(heartbeat_time=_NOW, expire_time=_NOW + table.c.heartbeat_ttl_us)
    .returning(table.c.id, table.c.marked_stale)
)
# Spelled out as in the index, or a planner would not know that it applies.
_SPELLED = table.c.state != literal_column("'retired'")
_SILENT = (
    select(table)
    .where(_SPELLED, ~table.c.marked_stale, table.c.expire_time < _NOW)
    .order_by(table.c.expire_time, table.c.id)
    .limit(bindparam("limit"))
    .with_for_update(of=table, skip_locked=True)
)
_IS_SILENT = select(table.c.id).where(_SPELLED, ~table.c.marked_stale, table.c.expire_time < _NOW).limit(1)
_OF_LIVE_MODEL = table.c.model_uid.in_(select(model.c.uid).where(model.c.delete_time.is_(None), ~model.c.buried))
_HOLDING = select(table).where(_HEARD).order_by(table.c.create_time, table.c.id).limit(bindparam("limit"))
_HOLDING_VERSION = _HOLDING.where(table.c.version_uid == bindparam("of"))
_HOLDING_MODEL = _HOLDING.where(table.c.model_uid == bindparam("of"))
_HOLDING_PROJECT = _HOLDING.where(table.c.project == bindparam("of"), _OF_LIVE_MODEL)
_COUNT = select(table.c.state, func.count().label("number")).group_by(table.c.state)
_COUNT_STALE = select(func.count()).where(_RUNS, table.c.expire_time < _NOW)
_FORGET_RETIRED = delete(table).where(table.c.model_uid == bindparam("of"), ~_RUNS)
_FORGET_ALL = delete(table).where(table.c.project == bindparam("of"))
_FORGET_RUNS = delete(run).where(run.c.project == bindparam("of"))


def _list(wanted: DeploymentFilter, *, from_start: bool) -> Select[Any]:
    statement = select(table).where(*conditions(table, wanted))
    if wanted.states:
        statement = statement.where(table.c.state.in_(bindparam("states", expanding=True)))
    else:
        statement = statement.where(_RUNS)
    if wanted.stale_only:
        statement = statement.where(_RUNS, table.c.expire_time < _NOW)
    if not from_start:
        after = tuple_(bindparam("after_time", type_=table.c.create_time.type), bindparam("after_id"))
        statement = statement.where(tuple_(table.c.create_time, table.c.id) < after)
    return statement.order_by(table.c.create_time.desc(), table.c.id.desc()).limit(bindparam("limit"))


class Deployments:
    """Implements `ports.deployments.Deployments`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: DeploymentName) -> Deployment | None:
        """See the port."""
        row = self._session.one(_GET, _key(name))
        return self._made(row) if row else None

    def lock(self, name: DeploymentName) -> Deployment | None:
        """See the port."""
        row = self._session.lock(_LOCK, _key(name))
        return self._made(row) if row else None

    def find(self, project: str, ids: Collection[str]) -> Sequence[Deployment]:
        """See the port."""
        return self._all(self._session.all(_FIND, {"in_project": project, "ids": list(ids)}))

    def list(self, wanted: DeploymentFilter, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Deployment]:
        """See the port."""
        values = bound(wanted) | {"limit": limit}
        if wanted.states:
            values["states"] = list(wanted.states)
        if wanted.stale_only:
            values["now"] = self._session.now
        if after is not None:
            values |= {"after_time": after[0], "after_id": after[1]}
        return self._all(self._session.all(_list(wanted, from_start=after is None), values))

    def present(self, project: str, model: str, *, after: str, limit: int) -> Sequence[Deployment]:
        """See the port."""
        values = {"in_project": project, "after": after, "limit": limit}
        if model:
            return self._all(self._session.all(_PRESENT_OF_MODEL, {**values, "in_model": model}))
        return self._all(self._session.all(_PRESENT, values))

    def put(self, deployment: Deployment) -> None:
        """See the port."""
        self._session.stamp(_PUT, to_values(deployment))

    def touch(self, deployment: Deployment, reporter: str) -> bool:
        """See the port."""
        values = {**_key(deployment.name), "seen": deployment.revision, "now": self._session.now, "by": reporter}
        return self._session.change(_TOUCH, values) == 1

    def beat(self, project: str, ids: Collection[str]) -> Beats:
        """See the port."""
        values = {"in_project": project, "ids": sorted(ids), "now": self._session.now}
        rows = self._session.lock_rows(_BEAT, values)
        marked = sorted(row.id for row in rows if row.marked_stale)
        returned = sorted(self.find(project, marked), key=lambda one: one.name) if marked else ()
        return Beats(frozenset(row.id for row in rows), tuple(returned))

    def is_any_silent(self) -> bool:
        """See the port."""
        return self._session.one(_IS_SILENT, {"now": self._session.now}) is not None

    def silent(self, limit: int) -> Sequence[Deployment]:
        """See the port."""
        return self._all(self._session.lock_rows(_SILENT, {"now": self._session.now, "limit": limit}))

    def holding(
        self, *, version_uid: str = "", model_uid: str = "", project: str = "", limit: int
    ) -> Sequence[Deployment]:
        """See the port."""
        statement = _HOLDING_VERSION if version_uid else _HOLDING_MODEL if model_uid else _HOLDING_PROJECT
        values = {"of": version_uid or model_uid or project, "now": self._session.now, "limit": limit}
        return self._all(self._session.all(statement, values))

    def drifting(
        self, wanted: DeploymentFilter, archives: Collection[str], *, after: str, limit: int
    ) -> Sequence[Observation]:
        """See the port."""
        values = bound(wanted) | {"archives": sorted(archives), "after": after, "limit": limit}
        rows = self._session.all(drifts.statement(wanted), values | {"now": self._session.now})
        return [drifts.to_observation(row, self._made(row)) for row in rows]

    def count(self) -> tuple[Mapping[DeploymentState, int], int]:
        """See the port."""
        states = {row.state: int(row.number) for row in self._session.all(_COUNT)}
        stale = self._session.one(_COUNT_STALE, {"now": self._session.now})
        return states, int(stale[0]) if stale else 0

    def forget(self, *, model_uid: str = "", project: str = "") -> None:
        """See the port."""
        if model_uid:
            self._session.change(_FORGET_RETIRED, {"of": model_uid})
        if project:
            self._session.change(_FORGET_ALL, {"of": project})
            self._session.change(_FORGET_RUNS, {"of": project})

    def _all(self, rows: Sequence[Record]) -> Sequence[Deployment]:
        return [self._made(row) for row in rows]

    def _made(self, row: Record) -> Deployment:
        retired = row.state is DeploymentState.RETIRED
        return to_deployment(row, stale=not retired and row.expire_time < self._session.now)


def _key(name: DeploymentName) -> dict[str, str]:
    return {"in_project": name.project, "with_id": name.deployment}
