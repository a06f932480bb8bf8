"""Stage history, append only."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, exists, insert, select, tuple_

from registry_grpc.domain.names import VersionName
from registry_grpc.domain.pointers import Assignment
from registry_grpc.storage.sql.tables import stage_assignment as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_INSERT = insert(table)
_NEWEST = (table.c.revision.desc(), table.c.idx.desc())
_later = table.alias("later")
_TIME = bindparam("time", type_=table.c.assign_time.type)
_ARRIVED = (
    select(table)
    .where(table.c.model_uid == bindparam("in_model"), table.c.stage == bindparam("at_stage"))
    .where(table.c.assign_time <= _TIME)
    .order_by(*_NEWEST)
    .limit(1)
)
# A stage points at the newest of its holders: the last arrival whose version had no later row of any kind.
_STANDING = _ARRIVED.where(
    ~exists().where(
        _later.c.version_uid == table.c.version_uid,
        tuple_(_later.c.revision, _later.c.idx) > tuple_(table.c.revision, table.c.idx),
        _later.c.assign_time <= _TIME,
    )
)

_OF_VERSION = (
    select(table).where(table.c.version_uid == bindparam("of_version")).order_by(*_NEWEST).limit(bindparam("limit"))
)


@cache
def _list(*, by_stage: bool, from_end: bool) -> Select[Any]:
    statement = select(table).where(table.c.model_uid == bindparam("in_model"))
    if by_stage:
        statement = statement.where(table.c.stage == bindparam("at_stage"))
    if not from_end:
        before = tuple_(bindparam("before_revision"), bindparam("before_index"))
        statement = statement.where(tuple_(table.c.revision, table.c.idx) < before)
    return statement.order_by(*_NEWEST).limit(bindparam("limit"))


class History:
    """Implements `ports.repositories.History`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def append(self, assignment: Assignment) -> None:
        """See the port."""
        if self._session.validate_only:
            return  # it has the present revision, under which there may be a row already
        self._session.stamp(_INSERT, _values(assignment))

    def list(self, model_uid: str, stage: str, *, before: tuple[int, int] | None, limit: int) -> Sequence[Assignment]:
        """See the port."""
        statement = _list(by_stage=bool(stage), from_end=before is None)
        revision, index = before or (0, 0)
        values = {
            "in_model": model_uid,
            "at_stage": stage,
            "before_revision": revision,
            "before_index": index,
            "limit": limit,
        }
        return [_assignment(row) for row in self._session.all(statement, values)]

    def of_version(self, version_uid: str, limit: int) -> Sequence[Assignment]:
        """See the port."""
        rows = self._session.all(_OF_VERSION, {"of_version": version_uid, "limit": limit})
        return [_assignment(row) for row in rows]

    def pointer_as_of(self, model_uid: str, stage: str, time: datetime) -> tuple[Assignment | None, bool]:
        """See the port."""
        values = {"in_model": model_uid, "at_stage": stage, "time": time}
        standing = self._session.one(_STANDING, values)
        if standing is not None:
            return _assignment(standing), True
        arrived = self._session.one(_ARRIVED, values)
        return (_assignment(arrived) if arrived is not None else None), False


def _assignment(row: Record) -> Assignment:
    return Assignment(
        model_uid=row.model_uid,
        revision=row.revision,
        index=row.idx,
        stage=row.stage,
        from_stage=row.from_stage,
        version=VersionName(row.project, row.model, row.number),
        version_uid=row.version_uid,
        manifest_digest=row.manifest_digest,
        previous_number=row.previous_number,
        action=row.action,
        actor=row.actor,
        justification=row.justification,
        request_id=row.request_id,
        assign_time=row.assign_time,
        promotion_request=row.promotion_request,
        policies=row.policies,
        break_glass=row.break_glass,
    )


def _values(assignment: Assignment) -> dict[str, Any]:
    return {
        "model_uid": assignment.model_uid,
        "revision": assignment.revision,
        "idx": assignment.index,
        "stage": assignment.stage,
        "from_stage": assignment.from_stage,
        "project": assignment.version.project,
        "model": assignment.version.model,
        "number": assignment.version.number,
        "version_uid": assignment.version_uid,
        "manifest_digest": assignment.manifest_digest,
        "previous_number": assignment.previous_number,
        "action": assignment.action,
        "actor": assignment.actor,
        "justification": assignment.justification,
        "request_id": assignment.request_id,
        "assign_time": assignment.assign_time,
        "promotion_request": assignment.promotion_request,
        "policies": assignment.policies,
        "break_glass": assignment.break_glass,
    }
