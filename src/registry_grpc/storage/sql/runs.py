"""Runs of training, preparation and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from registry_grpc.storage.sql.tables import run as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.domain.lineage import Run
    from registry_grpc.domain.lineage_names import RunName
    from registry_grpc.storage.sql.session import Session

_NAMED = (table.c.project == bindparam("in_project")) & (table.c.id == bindparam("with_id"))
_GET = select(table.c.body).where(_NAMED)
_NEWEST = (
    select(table.c.body)
    .where(table.c.project == bindparam("in_project"))
    .order_by(table.c.create_time.desc(), table.c.id.desc())
    .limit(bindparam("limit"))
)
_AFTER = tuple_(bindparam("after_time", type_=table.c.create_time.type), bindparam("after_id"))
_FURTHER = _NEWEST.where(tuple_(table.c.create_time, table.c.id) < _AFTER)
_INSERT = insert_or_update(table)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=["project", "id"],
    set_={"body": _INSERT.excluded.body, "revision": _INSERT.excluded.revision},
)
_DELETE = delete(table).where(_NAMED)


class Runs:
    """Implements `ports.lineage.Runs`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: RunName) -> Run | None:
        """See the port."""
        row = self._session.one(_GET, _key(name))
        return row.body if row else None

    def list(self, project: str, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Run]:
        """See the port."""
        values = {"in_project": project, "limit": limit}
        if after is None:
            return [row.body for row in self._session.all(_NEWEST, values)]
        values |= {"after_time": after[0], "after_id": after[1]}
        return [row.body for row in self._session.all(_FURTHER, values)]

    def put(self, run: Run) -> None:
        """See the port."""
        values = {"project": run.name.project, "id": run.name.run, "uid": run.uid, "body": run}
        self._session.stamp(_PUT, {**values, "create_time": run.create_time, "revision": run.revision})

    def delete(self, name: RunName) -> None:
        """See the port."""
        self._session.stamp(_DELETE, _key(name))


def _key(name: RunName) -> dict[str, str]:
    return {"in_project": name.project, "with_id": name.run}
