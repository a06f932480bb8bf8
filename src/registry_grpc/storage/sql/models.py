"""Models."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, project_not_found
from registry_grpc.domain.resources import Model
from registry_grpc.domain.search import ANYTHING
from registry_grpc.ports.repositories import Numbered
from registry_grpc.storage.sql.projects import require_project
from registry_grpc.storage.sql.search.compiling import model_where
from registry_grpc.storage.sql.search.indexing import forget_model, index_model
from registry_grpc.storage.sql.tables import model as table
from registry_grpc.storage.sql.tables import pointer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.project == bindparam("project")) & (table.c.id == bindparam("model"))
_GET = select(table).where(_NAMED)
_STATE = select(table.c.uid, table.c.delete_time, table.c.buried).where(_NAMED)
_LOCK = _GET.with_for_update(key_share=True)
_LOCK_UID = select(table).where(table.c.uid == bindparam("of")).with_for_update(key_share=True)
_LOCK_ALL = (
    select(table.c.uid).where(table.c.project == bindparam("of")).order_by(table.c.uid).with_for_update(key_share=True)
)
_ALL = (
    select(table)
    .where(table.c.project == bindparam("of"), table.c.uid > bindparam("after"))
    .order_by(table.c.uid)
    .limit(bindparam("limit"))
)
_PURGEABLE = (
    select(table).where(table.c.purge_time <= bindparam("now")).order_by(table.c.purge_time).limit(bindparam("limit"))
)
_POINTERS_DELETE = delete(pointer).where(pointer.c.model_uid == bindparam("of"))
_DELETE = delete(table).where(table.c.uid == bindparam("of"))
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(table.c.uid == bindparam("key"))
_NUMBER = (
    update(table)
    .where(table.c.project == bindparam("in_project"), table.c.id == bindparam("with_id"))
    .values(last_version_number=table.c.last_version_number + 1)
    .returning(table.c.uid, table.c.last_version_number, table.c.delete_time, table.c.buried)
)


@cache
def _list(*, from_start: bool, descending: bool, show_deleted: bool, chosen: bool) -> Select[Any]:
    order = table.c.id.desc() if descending else table.c.id
    statement = select(table).where(table.c.project == bindparam("project"), ~table.c.buried)
    if chosen:
        statement = statement.where(table.c.id.in_(bindparam("only", expanding=True)))
    if not from_start:
        after = bindparam("after", type_=table.c.id.type)
        statement = statement.where(table.c.id < after if descending else table.c.id > after)
    if not show_deleted:
        statement = statement.where(table.c.delete_time.is_(None))
    return statement.order_by(order).limit(bindparam("limit"))


class Models:
    """Implements `ports.repositories.Models`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: ModelName) -> Model:
        """See the port."""
        row = self._session.one(_GET, {"project": name.project, "model": name.model})
        if row is None or row.buried:
            raise self._missing(name)
        return to_model(row)

    def lock(self, name: ModelName) -> Model:
        """See the port."""
        row = self._session.lock(_LOCK, {"project": name.project, "model": name.model})
        if row is None or row.buried:
            raise self._missing(name)
        return to_model(row)

    def lock_uid(self, uid: str) -> Model | None:
        """See the port."""
        row = self._session.lock(_LOCK_UID, {"of": uid})
        return to_model(row) if row else None

    def lock_all(self, project: str) -> None:
        """See the port."""
        self._session.lock_rows(_LOCK_ALL, {"of": project})

    def list(
        self,
        project: str,
        *,
        after: str,
        limit: int,
        descending: bool = False,
        show_deleted: bool = False,
        only: Collection[str] | None = None,
        conditions: Tree[Condition] = ANYTHING,
    ) -> Sequence[Model]:
        """See the port."""
        chosen = only is not None
        statement = _list(from_start=not after, descending=descending, show_deleted=show_deleted, chosen=chosen)
        if conditions != ANYTHING:
            statement = statement.where(model_where(conditions))
        values = {"project": project, "after": after, "limit": limit, "only": list(only or ())}
        rows = self._session.all(statement, values)
        return [to_model(row) for row in rows]

    def insert(self, model: Model) -> None:
        """See the port."""
        values = {**_values(model), "last_version_number": 0, "buried": False}
        if self._session.stamp(_INSERT, values) != 1:
            raise self._taken(model.name)
        index_model(self._session, model, is_new=True)

    def update(self, model: Model) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {"key": model.uid, **_values(model)})
        index_model(self._session, model)

    def all_of(self, project: str, *, after: str, limit: int) -> Sequence[Model]:
        """See the port."""
        rows = self._session.all(_ALL, {"of": project, "after": after, "limit": limit})
        return [to_model(row) for row in rows]

    def purgeable(self, limit: int) -> Sequence[Model]:
        """See the port."""
        rows = self._session.all(_PURGEABLE, {"now": self._session.now, "limit": limit})
        return [to_model(row) for row in rows]

    def delete(self, uid: str) -> None:
        """See the port."""
        self._session.stamp(_POINTERS_DELETE, {"of": uid})
        self._session.stamp(_DELETE, {"of": uid})
        forget_model(self._session, uid)

    def number_version(self, name: ModelName) -> Numbered:
        """See the port."""
        row = self._session.lock(_NUMBER, {"in_project": name.project, "with_id": name.model})
        if row is None or row.buried:
            raise self._missing(name)
        return Numbered(model_uid=row.uid, number=row.last_version_number, deleted=row.delete_time is not None)

    def _missing(self, name: ModelName) -> RegistryError:
        # In a deleted project everything answers as if the project were absent.
        require_project(self._session, name.project)
        return model_not_found(name)

    def _taken(self, name: ModelName) -> RegistryError:
        row = self._session.one(_STATE, {"project": name.project, "model": name.model})
        deleted = row is not None and row.delete_time is not None
        todo = "undelete it or choose another id" if deleted else "choose another id"
        return RegistryError(
            Reason.RESOURCE_EXISTS,
            f"{name} exists already{' and is deleted' if deleted else ''}; {todo}",
            resource=name,
            softDeleted="true" if deleted else None,
        )


def require_model(session: Session, name: ModelName) -> None:
    """Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND."""
    row = session.one(_STATE, {"project": name.project, "model": name.model})
    if row is None:
        require_project(session, name.project)
        raise model_not_found(name)
    if row.buried:
        raise project_not_found(name.project)


def model_not_found(name: ModelName) -> RegistryError:
    """The error for an absent model."""
    return RegistryError(
        Reason.MODEL_NOT_FOUND,
        f"{name} does not exist; list the models of projects/{name.project}, or create it",
        resource=name,
    )


def to_model(row: Record) -> Model:
    """The model."""
    return Model(
        uid=row.uid,
        name=ModelName(row.project, row.id),
        display_name=row.display_name,
        description=row.description,
        owner=row.owner,
        tags=row.tags,
        annotations=row.annotations,
        creator=row.creator,
        create_time=row.create_time,
        update_time=row.update_time,
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        revision=row.revision,
    )


def _values(model: Model) -> dict[str, Any]:
    return {
        "uid": model.uid,
        "project": model.name.project,
        "id": model.name.model,
        "display_name": model.display_name,
        "description": model.description,
        "owner": model.owner,
        "tags": model.tags,
        "annotations": model.annotations,
        "creator": model.creator,
        "create_time": model.create_time,
        "update_time": model.update_time,
        "delete_time": model.delete_time,
        "purge_time": model.purge_time,
        "revision": model.revision,
    }
