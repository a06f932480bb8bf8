"""Projects and the flags of their stages."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ProjectName, project_not_found
from registry_grpc.domain.resources import Project
from registry_grpc.domain.tenancy import Retention
from registry_grpc.storage.sql.tables import model, project_usage, stage
from registry_grpc.storage.sql.tables import project as table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.storage.sql.session import Record, Session

_FIND = select(table).where(table.c.id == bindparam("project"))
_GET = _FIND.where(table.c.delete_time.is_(None))
_EXISTS = select(table.c.id).where(table.c.id == bindparam("project"), table.c.delete_time.is_(None))
_RETENTION = select(table.c.retention).where(table.c.id == bindparam("project"))
# A writer that reads a project holds it as it is, so that no version enters a stage that is being taken away:
# FOR KEY SHARE goes with itself and excludes FOR UPDATE.
_HOLD = _GET.with_for_update(read=True, key_share=True)
_LOCK = _FIND.with_for_update()
_PURGEABLE = (
    select(table).where(table.c.purge_time <= bindparam("now")).order_by(table.c.purge_time).limit(bindparam("limit"))
)
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(table.c.uid == bindparam("key"))
_STAGES_DELETE = delete(stage).where(stage.c.project == bindparam("of"))
_STAGES_INSERT = insert(stage)
_USAGE_INSERT = insert(project_usage)
_USAGE_DELETE = delete(project_usage).where(project_usage.c.project == bindparam("of"))
_DELETE = delete(table).where(table.c.id == bindparam("of"))
_BURY = update(model).where(model.c.project == bindparam("of")).values(buried=bindparam("is_buried"))


@cache
def _list(*, from_start: bool, descending: bool, show_deleted: bool, chosen: bool) -> Select[Any]:
    statement = select(table)
    if chosen:
        statement = statement.where(table.c.id.in_(bindparam("only", expanding=True)))
    if not from_start:
        after = bindparam("after", type_=table.c.id.type)
        statement = statement.where(table.c.id < after if descending else table.c.id > after)
    if not show_deleted:
        statement = statement.where(table.c.delete_time.is_(None))
    return statement.order_by(table.c.id.desc() if descending else table.c.id).limit(bindparam("limit"))


def live_project(name: ColumnElement[Any]) -> ColumnElement[bool]:
    """A condition: the project of this id is there and not deleted."""
    return exists(select(table.c.id).where(table.c.id == name, table.c.delete_time.is_(None)))


class Projects:
    """Implements `ports.repositories.Projects`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, project: str) -> Project:
        """See the port."""
        statement = _HOLD if self._session.writable else _GET
        row = self._session.one(statement, {"project": project})
        if row is None:
            raise project_not_found(project)
        return _project(row)

    def find(self, project: str) -> Project:
        """See the port."""
        row = self._session.one(_FIND, {"project": project})
        if row is None:
            raise project_not_found(project)
        return _project(row)

    def require(self, project: str) -> None:
        """See the port."""
        require_project(self._session, project)

    def retention(self, project: str) -> Retention:
        """See the port."""
        row = self._session.one(_RETENTION, {"project": project})
        return row.retention if row else Retention()

    def lock(self, project: str) -> Project:
        """See the port."""
        row = self._session.lock(_LOCK, {"project": project})
        if row is None:
            raise project_not_found(project)
        return _project(row)

    def list(
        self,
        *,
        after: str,
        limit: int,
        descending: bool = False,
        show_deleted: bool = False,
        only: Collection[str] | None = None,
    ) -> Sequence[Project]:
        """See the port."""
        chosen = only is not None
        statement = _list(from_start=not after, descending=descending, show_deleted=show_deleted, chosen=chosen)
        rows = self._session.all(statement, {"after": after, "limit": limit, "only": list(only or ())})
        return [_project(row) for row in rows]

    def insert(self, project: Project) -> None:
        """See the port."""
        if self._session.stamp(_INSERT, _values(project)) != 1:
            raise self._taken(project.name)
        usage = {column.name: 0 for column in project_usage.c}
        self._session.change(_USAGE_INSERT, {**usage, "project": project.name.project})
        self._put_stages(project)

    def _taken(self, name: ProjectName) -> RegistryError:
        row = self._session.one(_FIND, {"project": name.project})
        deleted = row is not None and row.delete_time is not None
        todo = "undelete it, purge it, or choose another id" if deleted else "choose another id"
        return RegistryError(
            Reason.RESOURCE_EXISTS,
            f"{name} exists already{' and is deleted' if deleted else ''}; {todo}",
            resource=name,
            softDeleted="true" if deleted else None,
        )

    def bury(self, project: str, *, buried: bool) -> None:
        """See the port."""
        self._session.change(_BURY, {"of": project, "is_buried": buried})

    def purgeable(self, limit: int) -> Sequence[Project]:
        """See the port."""
        rows = self._session.all(_PURGEABLE, {"now": self._session.now, "limit": limit})
        return [_project(row) for row in rows]

    def delete(self, project: str) -> None:
        """See the port."""
        for statement in (_USAGE_DELETE, _STAGES_DELETE, _DELETE):
            self._session.stamp(statement, {"of": project})

    def update(self, project: Project) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {"key": project.uid, **_values(project)})
        self._session.change(_STAGES_DELETE, {"of": project.name.project})
        self._put_stages(project)

    def _put_stages(self, project: Project) -> None:
        flags = [{"project": project.name.project, "id": one.id, "exclusive": one.exclusive} for one in project.stages]
        if flags:
            self._session.change(_STAGES_INSERT, flags)


def require_project(session: Session, project: str) -> None:
    """Raises: PROJECT_NOT_FOUND."""
    if session.one(_EXISTS, {"project": project}) is None:
        raise project_not_found(project)


def _project(row: Record) -> Project:
    return Project(
        uid=row.uid,
        name=ProjectName(row.id),
        display_name=row.display_name,
        description=row.description,
        stages=row.stages,
        tags=row.tags,
        annotations=row.annotations,
        quotas=row.quotas,
        retention=row.retention,
        create_time=row.create_time,
        update_time=row.update_time,
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        revision=row.revision,
    )


def _values(project: Project) -> dict[str, Any]:
    return {
        "uid": project.uid,
        "id": project.name.project,
        "display_name": project.display_name,
        "description": project.description,
        "stages": project.stages,
        "tags": project.tags,
        "annotations": project.annotations,
        "quotas": project.quotas,
        "retention": project.retention,
        "create_time": project.create_time,
        "update_time": project.update_time,
        "delete_time": project.delete_time,
        "purge_time": project.purge_time,
        "revision": project.revision,
    }
