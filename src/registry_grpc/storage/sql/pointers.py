"""Pointers, read with their target as it is now in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.names import ModelName
from registry_grpc.domain.pointers import Freeze, Pointer, PointerKind, Target
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql.tables import model, version
from registry_grpc.storage.sql.tables import pointer as table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.storage.sql.session import Record, Session

_ALIASES_SHOWN = 100

_TARGETED = table.join(version, version.c.uid == table.c.version_uid)
_COLUMNS = (
    table,
    version.c.number,
    version.c.manifest_digest,
    version.c.file_count,
    version.c.total_size_bytes,
    version.c.stage,
    version.c.state,
)
_ALL = select(*_COLUMNS).select_from(table.outerjoin(version, version.c.uid == table.c.version_uid))
_KEY = (
    (table.c.model_uid == bindparam("in_model"))
    & (table.c.kind == bindparam("of_kind", type_=table.c.kind.type))
    & (table.c.id == bindparam("with_id"))
)
_GET = _ALL.where(_KEY)
_LIST = (
    _ALL.where(table.c.model_uid == bindparam("in_model"), table.c.id > bindparam("after"))
    .order_by(table.c.id, table.c.kind)
    .limit(bindparam("limit"))
)
_LIST_KIND = _LIST.where(table.c.kind == bindparam("of_kind", type_=table.c.kind.type))
_OF_VERSION = _ALL.where(table.c.version_uid == bindparam("version_uid")).order_by(table.c.kind, table.c.id)
_NAMED = (
    _ALL.where(
        table.c.project == bindparam("project"),
        table.c.kind == PointerKind.ALIAS,
        table.c.id.in_(bindparam("names", expanding=True)),
    )
    .order_by(table.c.model, table.c.id)
    .limit(_ALIASES_SHOWN)
)
_SNAPSHOT = (
    select(*_COLUMNS)
    .select_from(_TARGETED.join(model, model.c.uid == table.c.model_uid))
    .where(
        model.c.delete_time.is_(None),
        ~model.c.buried,
        tuple_(table.c.model_uid, table.c.kind, table.c.id)
        > tuple_(bindparam("a"), bindparam("b", type_=model.c.id.type), bindparam("c")),
    )
    .order_by(table.c.model_uid, table.c.kind, table.c.id)
    .limit(bindparam("limit"))
)
_OF_PROJECT = (
    select(*_COLUMNS)
    .select_from(_TARGETED.join(model, model.c.uid == table.c.model_uid))
    .where(
        table.c.project == bindparam("project"),
        model.c.delete_time.is_(None),
        or_(bindparam("of_kind", type_=table.c.kind.type).is_(None), table.c.kind == bindparam("of_kind")),
    )
    .order_by(table.c.model, table.c.kind, table.c.id)
    .limit(bindparam("limit"))
)
_IN_PROJECT = (
    select(*_COLUMNS)
    .select_from(_TARGETED.join(model, model.c.uid == table.c.model_uid))
    .where(
        table.c.project == bindparam("project"),
        model.c.delete_time.is_(None),
        tuple_(table.c.model, table.c.kind, table.c.id)
        > tuple_(bindparam("a", type_=model.c.id.type), bindparam("b", type_=model.c.id.type), bindparam("c")),
    )
    .order_by(table.c.model, table.c.kind, table.c.id)
    .limit(bindparam("limit"))
)
_IN_MODEL = _IN_PROJECT.where(table.c.model == bindparam("model"))
_INSERT = upsert(table)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[table.c.model_uid, table.c.kind, table.c.id],
    set_={
        name: _INSERT.excluded[name]
        for name in (
            "version_uid",
            "previous_number",
            "generation",
            "revision",
            "set_time",
            "actor",
            "justification",
            "freeze_reason",
            "frozen_by",
            "freeze_time",
        )
    },
)
_DELETE = delete(table).where(_KEY)


class Pointers:
    """Implements `ports.repositories.Pointers`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, model_uid: str, kind: PointerKind, pointer_id: str) -> Pointer | None:
        """See the port."""
        row = self._session.one(_GET, {"in_model": model_uid, "of_kind": kind, "with_id": pointer_id})
        return _pointer(row) if row else None

    def list(
        self,
        model_uid: str,
        kind: PointerKind | None = None,
        *,
        after: str = "",
        limit: int = 1000,
    ) -> Sequence[Pointer]:
        """See the port."""
        statement = _LIST if kind is None else _LIST_KIND
        values = {"in_model": model_uid, "of_kind": kind, "after": after, "limit": limit}
        return [_pointer(row) for row in self._session.all(statement, values)]

    def of_version(self, version_uid: str) -> Sequence[Pointer]:
        """See the port."""
        return [_pointer(row) for row in self._session.all(_OF_VERSION, {"version_uid": version_uid})]

    def put(self, pointer: Pointer) -> None:
        """See the port."""
        self._session.stamp(_PUT, _values(pointer))

    def delete(self, model_uid: str, kind: PointerKind, pointer_id: str) -> None:
        """See the port."""
        self._session.stamp(_DELETE, {"in_model": model_uid, "of_kind": kind, "with_id": pointer_id})

    def aliases_named(self, project: str, names: Collection[str]) -> Sequence[Pointer]:
        """See the port."""
        rows = self._session.all(_NAMED, {"project": project, "names": list(names)})
        return [_pointer(row) for row in rows]

    def of_project(self, project: str, kind: PointerKind | None = None, *, limit: int) -> Sequence[Pointer]:
        """See the port."""
        values = {"project": project, "of_kind": kind, "limit": limit}
        return [_pointer(row) for row in self._session.all(_OF_PROJECT, values)]

    def in_project(
        self, project: str, model: str, *, after: tuple[str, str, str] | None, limit: int
    ) -> Sequence[Pointer]:
        """See the port."""
        a, b, c = after or ("", "", "")
        values = {"project": project, "a": a, "b": b, "c": c, "limit": limit}
        rows = (
            self._session.all(_IN_MODEL, {**values, "model": model})
            if model
            else self._session.all(_IN_PROJECT, values)
        )
        return [_pointer(row) for row in rows]

    def snapshot(self, *, after: tuple[str, str, str], limit: int) -> Sequence[Pointer]:
        """See the port."""
        values = {"a": after[0], "b": after[1], "c": after[2], "limit": limit}
        return [_pointer(row) for row in self._session.all(_SNAPSHOT, values)]


def _pointer(row: Record) -> Pointer:
    model_name = ModelName(row.project, row.model)
    return Pointer(
        model=model_name,
        model_uid=row.model_uid,
        kind=row.kind,
        id=row.id,
        target=_target(row, model_name) if row.version_uid else None,
        previous_number=row.previous_number,
        generation=row.generation,
        revision=row.revision,
        set_time=row.set_time,
        actor=row.actor,
        justification=row.justification,
        freeze=Freeze(row.freeze_reason, row.frozen_by, row.freeze_time) if row.freeze_time else None,
    )


def _target(row: Record, model_name: ModelName) -> Target:
    return Target(
        name=model_name.version(row.number),
        uid=row.version_uid,
        manifest_digest=row.manifest_digest,
        file_count=row.file_count,
        total_size_bytes=row.total_size_bytes,
        stage=row.stage,
        yanked=row.state is VersionState.YANKED,
    )


def _values(pointer: Pointer) -> dict[str, Any]:
    return {
        "model_uid": pointer.model_uid,
        "kind": pointer.kind,
        "id": pointer.id,
        "project": pointer.model.project,
        "model": pointer.model.model,
        "version_uid": pointer.target.uid if pointer.target else None,
        "previous_number": pointer.previous_number,
        "generation": pointer.generation,
        "revision": pointer.revision,
        "set_time": pointer.set_time,
        "actor": pointer.actor,
        "justification": pointer.justification,
        "freeze_reason": pointer.freeze.reason if pointer.freeze else "",
        "frozen_by": pointer.freeze.actor if pointer.freeze else "",
        "freeze_time": pointer.freeze.time if pointer.freeze else None,
    }
