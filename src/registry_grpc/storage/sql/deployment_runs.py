"""What ran where and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, insert, or_, select, tuple_, update

from registry_grpc.domain.deployments import DeploymentRun
from registry_grpc.domain.names import DeploymentName, ModelName
from registry_grpc.storage.sql.deployment_rows import bound, conditions, place_values, to_place
from registry_grpc.storage.sql.tables import deployment_run as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.domain.deployments import RunFilter
    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.project == bindparam("in_project")) & (table.c.deployment == bindparam("with_id"))
_LAST = select(table).where(_NAMED).order_by(table.c.revision.desc()).limit(1)
_INSERT = insert(table)
_END = (
    update(table)
    .where(_NAMED, table.c.end_time.is_(None))
    .values(end_time=bindparam("at", type_=table.c.end_time.type))
)


def _list(wanted: RunFilter, *, from_start: bool) -> Select[Any]:
    time = table.c.start_time.type
    statement = select(table).where(*conditions(table, wanted))
    if wanted.ends_after is not None:
        statement = statement.where(
            or_(table.c.end_time.is_(None), table.c.end_time > bindparam("ends_after", type_=time))
        )
    if wanted.begins_before is not None:
        statement = statement.where(table.c.start_time < bindparam("begins_before", type_=time))
    if not from_start:
        before = tuple_(bindparam("before_time", type_=time), bindparam("before_revision"))
        statement = statement.where(tuple_(table.c.start_time, table.c.revision) < before)
    return statement.order_by(table.c.start_time.desc(), table.c.revision.desc()).limit(bindparam("limit"))


class DeploymentRuns:
    """Implements `ports.deployments.DeploymentRuns`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def last(self, name: DeploymentName) -> DeploymentRun | None:
        """See the port."""
        row = self._session.one(_LAST, {"in_project": name.project, "with_id": name.deployment})
        return _run(row) if row else None

    def begin(self, run: DeploymentRun) -> None:
        """See the port."""
        if self._session.validate_only:
            return  # it has the present revision, under which there may be a row already
        self._session.stamp(_INSERT, _values(run))

    def end(self, name: DeploymentName, time: datetime) -> None:
        """See the port."""
        self._session.stamp(_END, {"in_project": name.project, "with_id": name.deployment, "at": time})

    def list(self, wanted: RunFilter, *, before: tuple[datetime, int] | None, limit: int) -> Sequence[DeploymentRun]:
        """See the port."""
        values = bound(wanted) | {"limit": limit}
        if wanted.ends_after is not None:
            values["ends_after"] = wanted.ends_after
        if wanted.begins_before is not None:
            values["begins_before"] = wanted.begins_before
        if before is not None:
            values |= {"before_time": before[0], "before_revision": before[1]}
        return [_run(row) for row in self._session.all(_list(wanted, from_start=before is None), values)]


def _run(row: Record) -> DeploymentRun:
    return DeploymentRun(
        deployment=DeploymentName(row.project, row.deployment),
        version=ModelName(row.project, row.model).version(row.number),
        version_uid=row.version_uid,
        model_uid=row.model_uid,
        manifest_digest=row.manifest_digest,
        place=to_place(row),
        stage=row.stage,
        start_time=row.start_time,
        end_time=row.end_time,
        reporter=row.reporter,
        revision=row.revision,
    )


def _values(run: DeploymentRun) -> dict[str, Any]:
    return {
        "project": run.deployment.project,
        "deployment": run.deployment.deployment,
        "revision": run.revision,
        "model": run.version.model,
        "number": run.version.number,
        "model_uid": run.model_uid,
        "version_uid": run.version_uid,
        "manifest_digest": run.manifest_digest,
        **place_values(run.place),
        "stage": run.stage,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "reporter": run.reporter,
    }
