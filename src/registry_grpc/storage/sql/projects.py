"""Projects and the flags of their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.resources import Project
from registry_grpc.storage.sql.tables import project as table
from registry_grpc.storage.sql.tables import stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.storage.sql.session import Record, Session

_GET = select(table).where(table.c.id == bindparam("project"))
_EXISTS = select(table.c.id).where(table.c.id == bindparam("project"))
# A writer that reads a project holds it as it is, so that no version enters a stage that is being taken away:
# FOR KEY SHARE goes with itself and excludes FOR UPDATE.
_HOLD = _GET.with_for_update(read=True, key_share=True)
_LOCK = _GET.with_for_update()
_UP = select(table).where(table.c.id > bindparam("after")).order_by(table.c.id).limit(bindparam("limit"))
_DOWN = select(table).where(table.c.id < bindparam("after")).order_by(table.c.id.desc()).limit(bindparam("limit"))
_DOWN_FROM_END = select(table).order_by(table.c.id.desc()).limit(bindparam("limit"))
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(table.c.uid == bindparam("key"))
_STAGES_DELETE = delete(stage).where(stage.c.project == bindparam("of"))
_STAGES_INSERT = insert(stage)


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

    def lock(self, project: str) -> Project:
        """See the port."""
        row = self._session.lock(_LOCK, {"project": project})
        if row is None:
            raise project_not_found(project)
        return _project(row)

    def list(self, *, after: str, limit: int, descending: bool = False) -> Sequence[Project]:
        """See the port."""
        statement = _UP
        if descending:
            statement = _DOWN if after else _DOWN_FROM_END
        rows = self._session.all(statement, {"after": after, "limit": limit})
        return [_project(row) for row in rows]

    def insert(self, project: Project) -> None:
        """See the port."""
        if self._session.stamp(_INSERT, _values(project)) != 1:
            raise RegistryError(
                Reason.RESOURCE_EXISTS,
                f"{project.name} exists already; choose another id",
                resource=project.name,
            )
        self._put_stages(project)

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


def project_not_found(project: str) -> RegistryError:
    """The error for an absent project."""
    name = ProjectName(project)
    return RegistryError(
        Reason.PROJECT_NOT_FOUND,
        f"{name} does not exist; list projects to see those that do, or create it",
        resource=name,
    )


def _project(row: Record) -> Project:
    return Project(
        uid=row.uid,
        name=ProjectName(row.id),
        display_name=row.display_name,
        description=row.description,
        stages=row.stages,
        tags=row.tags,
        annotations=row.annotations,
        create_time=row.create_time,
        update_time=row.update_time,
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
        "create_time": project.create_time,
        "update_time": project.update_time,
        "revision": project.revision,
    }
