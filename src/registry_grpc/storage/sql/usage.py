"""What projects use, kept beside what it counts."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, bindparam, func, or_, select, update

from registry_grpc.domain.artifacts import BlobState, UploadState
from registry_grpc.domain.names import project_not_found
from registry_grpc.domain.tenancy import Account, Usage
from registry_grpc.storage.sql.tables import blob, model, project, upload, version
from registry_grpc.storage.sql.tables import project_usage as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.storage.sql.session import Record, Session

_NAMES = tuple(field.name for field in fields(Usage))
_OF = table.c.project == bindparam("of")
_LIMITS = (project.c.quotas, project.c.retention)
_GET = (
    select(*(table.c[name] for name in _NAMES), *_LIMITS)
    .join(project, project.c.id == table.c.project)
    .where(_OF, project.c.delete_time.is_(None))
)
_LIMITS_OF = tuple(
    select(column).where(project.c.id == table.c.project).correlate(table).scalar_subquery().label(column.name)
    for column in _LIMITS
)
CHANGE = (
    update(table)
    .where(_OF)
    .values({name: table.c[name] + bindparam(f"more_{name}", type_=table.c[name].type) for name in _NAMES})
    .returning(table.c.project, *(table.c[name] for name in _NAMES), *_LIMITS_OF)
)
_LOCK = select(table).where(_OF).with_for_update(key_share=True)
_PUT = update(table).where(_OF)


def _counted(of: ColumnElement[Any]) -> dict[str, ScalarSelect[Any]]:
    """Each number of the row, from the rows it counts."""
    held = and_(blob.c.project == of, blob.c.state.in_([BlobState.LIVE, BlobState.DAMAGED]))
    is_open = and_(upload.c.project == of, upload.c.state.in_([UploadState.ACTIVE, UploadState.FINALIZING]))
    live = and_(version.c.delete_time.is_(None), model.c.delete_time.is_(None))
    joined = version.join(model, model.c.uid == version.c.model_uid)
    made = {
        "stored_bytes": select(func.coalesce(func.sum(blob.c.size_bytes), 0)).where(held),
        "reserved_bytes": select(func.coalesce(func.sum(upload.c.size_bytes), 0)).where(is_open),
        "models": select(func.count()).select_from(model).where(model.c.project == of, model.c.delete_time.is_(None)),
        "versions": select(func.count()).select_from(joined).where(version.c.project == of, live),
        "open_uploads": select(func.count()).select_from(upload).where(is_open),
    }
    return {name: statement.correlate(table).scalar_subquery() for name, statement in made.items()}


_ONE = bindparam("of", type_=table.c.project.type)
_COUNT = select(*(counted.label(name) for name, counted in _counted(_ONE).items()))
_DRIFTED = (
    select(table.c.project)
    .where(or_(*(table.c[name] != counted for name, counted in _counted(table.c.project).items())))
    .order_by(table.c.project)
    .limit(bindparam("limit"))
)
_LIMITED = select(table.c.stored_bytes, table.c.reserved_bytes, project.c.quotas).join(
    project, project.c.id == table.c.project
)


class Usages:
    """Implements `ports.usage.Usages`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, project: str) -> Account:
        """See the port."""
        return to_account(self._session.one(_GET, {"of": project}), project)

    def change(self, project: str, change: Usage) -> Account:
        """See the port."""
        return to_account(self._session.lock(CHANGE, change_values(project, change)), project)

    def lock(self, project: str) -> Usage | None:
        """See the port."""
        row = self._session.lock(_LOCK, {"of": project})
        return _usage(row) if row else None

    def count(self, project: str) -> Usage:
        """See the port."""
        row = self._session.one(_COUNT, {"of": project})
        return _usage(row) if row else Usage()

    def put(self, project: str, usage: Usage) -> None:
        """See the port."""
        self._session.change(_PUT, {"of": project, **asdict(usage)})

    def drifted(self, limit: int) -> Sequence[str]:
        """See the port."""
        return [row.project for row in self._session.all(_DRIFTED, {"limit": limit})]

    def fullest(self) -> float:
        """See the port."""
        parts = [
            (row.stored_bytes + row.reserved_bytes) / row.quotas.max_stored_bytes
            for row in self._session.all(_LIMITED)
            if row.quotas.max_stored_bytes
        ]
        return max(parts, default=0.0)


def change_values(project: str, change: Usage) -> dict[str, Any]:
    """The parameters of `CHANGE`."""
    return {"of": project, **{f"more_{name}": more for name, more in asdict(change).items()}}


def to_account(row: Record | None, project: str) -> Account:
    """What a row of `CHANGE` says.

    Raises: PROJECT_NOT_FOUND when there was none.
    """
    if row is None:
        raise project_not_found(project)
    return Account(_usage(row), row.quotas, row.retention)


def _usage(row: Record) -> Usage:
    return Usage(**{name: int(getattr(row, name)) for name in _NAMES})
