"""Upload sessions and their parts. They take no revision."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, delete, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.artifacts import Upload, UploadPart, UploadState
from registry_grpc.domain.names import UploadName, VersionName
from registry_grpc.storage.sql.projects import live_project
from registry_grpc.storage.sql.tables import upload as table
from registry_grpc.storage.sql.tables import upload_part as part
from registry_grpc.storage.sql.tables import version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.id == bindparam("with_id")) & (table.c.project == bindparam("in_project"))
_GET = select(table).where(_NAMED, live_project(bindparam("in_project")))
_LOCK = select(table).where(_NAMED).with_for_update(key_share=True)
_INSERT = insert(table)
_UPDATE = update(table).where(_NAMED)
# Once for each 16 MiB that come in, so it is one statement: it locks, looks and writes.
_PERSIST = (
    update(table)
    .where(
        _NAMED,
        table.c.epoch == bindparam("of_epoch"),
        table.c.state.in_([UploadState.ACTIVE, UploadState.FINALIZING]),
        live_project(bindparam("in_project")),
    )
    .values(persisted_size=bindparam("persisted"), expire_time=bindparam("expires"))
)
_EXPIRED = (
    select(table)
    .where(table.c.state.in_([UploadState.ACTIVE, UploadState.FINALIZING]), table.c.expire_time <= bindparam("now"))
    .order_by(table.c.expire_time)
    .limit(bindparam("limit"))
)
# The words are spelled out as in the indexes, or a planner would not know that they apply.
_ENDED = (
    select(table)
    .where(
        table.c.state.in_([UploadState.FAILED, UploadState.CANCELLED, UploadState.EXPIRED]),
        ~table.c.dropped,
        table.c.expire_time <= bindparam("now"),
    )
    .order_by(table.c.expire_time)
    .limit(bindparam("limit"))
)
_OPEN_BY = select(func.count()).select_from(
    select(table.c.id)
    .where(table.c.creator == bindparam("by"), table.c.state.in_([UploadState.ACTIVE, UploadState.FINALIZING]))
    .limit(bindparam("limit"))
    .subquery()
)
_PARTS = select(part).join(table, table.c.id == part.c.upload).where(_NAMED).order_by(part.c.number)
_PUT = upsert(part)
_PUT_PART = _PUT.on_conflict_do_update(
    index_elements=[part.c.upload, part.c.number],
    set_={name: _PUT.excluded[name] for name in ("size_bytes", "etag", "block_digests")},
)
_DELETE_PARTS = delete(part).where(part.c.upload == bindparam("of"))

_OF_VERSION = table.c.version_uid == bindparam("of")
_OPEN = table.c.state.in_([UploadState.ACTIVE, UploadState.FINALIZING])
_END = (
    update(table)
    .where(_OF_VERSION, _OPEN)
    .values(state=UploadState.EXPIRED, epoch=table.c.epoch + 1, failure="its version was purged")
    .returning(table.c.size_bytes)
)
_HASTEN = update(table).where(_OF_VERSION, table.c.expire_time > bindparam("now")).values(expire_time=bindparam("now"))
_FORGET_PARTS = delete(part).where(part.c.upload.in_(select(table.c.id).where(_OF_VERSION)))
_FORGET = delete(table).where(_OF_VERSION, or_(table.c.state == UploadState.COMMITTED, table.c.dropped))
_FORGET_ORPHAN = delete(table).where(
    _NAMED, table.c.dropped, ~exists(select(version.c.uid).where(version.c.uid == table.c.version_uid))
)


@cache
def _list(*, by_state: bool, from_start: bool, by_creator: bool) -> Select[Any]:
    statement = select(table).where(table.c.version_uid == bindparam("in_version"))
    if by_creator:
        statement = statement.where(table.c.creator == bindparam("by"))
    if by_state:
        statement = statement.where(table.c.state.in_(bindparam("states", expanding=True)))
    if not from_start:
        after = tuple_(bindparam("after_time", type_=table.c.create_time.type), bindparam("after_id"))
        statement = statement.where(tuple_(table.c.create_time, table.c.id) > after)
    return statement.order_by(table.c.create_time, table.c.id).limit(bindparam("limit"))


class Uploads:
    """Implements `ports.stored.Uploads`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: UploadName) -> Upload | None:
        """See the port."""
        row = self._session.one(_GET, _key(name))
        return _upload(row) if row else None

    def lock(self, name: UploadName) -> Upload | None:
        """See the port."""
        row = self._session.lock(_LOCK, _key(name))
        return _upload(row) if row else None

    def insert(self, upload: Upload) -> None:
        """See the port."""
        self._session.change(_INSERT, _values(upload))

    def update(self, upload: Upload) -> None:
        """See the port."""
        if self._session.change(_UPDATE, {**_key(upload.name), **_values(upload)}) != 1:
            msg = f"no row to replace: {upload.name}"
            raise LookupError(msg)

    def persist(self, upload: Upload) -> bool:
        """See the port."""
        values = {
            **_key(upload.name),
            "of_epoch": upload.epoch,
            "persisted": upload.persisted_size,
            "expires": upload.expire_time,
        }
        return self._session.change(_PERSIST, values) == 1

    def list(
        self,
        version_uid: str,
        *,
        states: Collection[UploadState] = (),
        after: tuple[datetime, str] | None = None,
        limit: int = 1000,
        creator: str = "",
    ) -> Sequence[Upload]:
        """See the port."""
        time, upload_id = after or (None, "")
        values = {
            "in_version": version_uid,
            "states": list(states),
            "after_time": time,
            "after_id": upload_id,
            "limit": limit,
            "by": creator,
        }
        statement = _list(by_state=bool(states), from_start=after is None, by_creator=bool(creator))
        return [_upload(row) for row in self._session.all(statement, values)]

    def parts(self, name: UploadName) -> Sequence[UploadPart]:
        """See the port."""
        return [
            UploadPart(number=row.number, size_bytes=row.size_bytes, etag=row.etag, block_digests=row.block_digests)
            for row in self._session.all(_PARTS, _key(name))
        ]

    def put_part(self, name: UploadName, part: UploadPart) -> None:
        """See the port."""
        values = {
            "upload": name.upload,
            "number": part.number,
            "size_bytes": part.size_bytes,
            "etag": part.etag,
            "block_digests": part.block_digests,
        }
        self._session.change(_PUT_PART, values)

    def delete_parts(self, name: UploadName) -> None:
        """See the port."""
        self._session.change(_DELETE_PARTS, {"of": name.upload})

    def expired(self, limit: int) -> Sequence[Upload]:
        """See the port."""
        rows = self._session.all(_EXPIRED, {"now": self._session.now, "limit": limit})
        return [_upload(row) for row in rows]

    def ended(self, limit: int) -> Sequence[Upload]:
        """See the port."""
        rows = self._session.all(_ENDED, {"now": self._session.now, "limit": limit})
        return [_upload(row) for row in rows]

    def forget_of(self, version_uid: str) -> tuple[int, int]:
        """See the port."""
        ended = self._session.lock_rows(_END, {"of": version_uid})
        self._session.change(_HASTEN, {"of": version_uid, "now": self._session.now})
        self._session.change(_FORGET_PARTS, {"of": version_uid})
        self._session.change(_FORGET, {"of": version_uid})
        return len(ended), sum(int(row.size_bytes) for row in ended)

    def forget_orphan(self, name: UploadName) -> None:
        """See the port."""
        self._session.change(_FORGET_ORPHAN, _key(name))

    def open_by(self, creator: str, limit: int) -> int:
        """See the port."""
        row = self._session.one(_OPEN_BY, {"by": creator, "limit": limit})
        return int(row[0]) if row else 0


def _key(name: UploadName) -> dict[str, Any]:
    return {"with_id": name.upload, "in_project": name.project}


def _upload(row: Record) -> Upload:
    return Upload(
        name=UploadName(row.project, row.id),
        version=VersionName(row.project, row.model, row.number),
        version_uid=row.version_uid,
        path=row.path,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        media_type=row.media_type,
        state=row.state,
        epoch=row.epoch,
        key=row.key,
        store_upload=row.store_upload,
        part_bytes=row.part_bytes,
        persisted_size=row.persisted_size,
        creator=row.creator,
        writers=row.writers,
        create_time=row.create_time,
        expire_time=row.expire_time,
        artifact_etag=row.artifact_etag,
        sealed_until=row.sealed_until,
        deduplicated=row.deduplicated,
        failure=row.failure,
        dropped=row.dropped,
        artifact=row.artifact,
    )


def _values(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.name.upload,
        "project": upload.name.project,
        "version_uid": upload.version_uid,
        "model": upload.version.model,
        "number": upload.version.number,
        "path": upload.path,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
        "media_type": upload.media_type,
        "state": upload.state,
        "epoch": upload.epoch,
        "key": upload.key,
        "store_upload": upload.store_upload,
        "part_bytes": upload.part_bytes,
        "persisted_size": upload.persisted_size,
        "creator": upload.creator,
        "writers": upload.writers,
        "create_time": upload.create_time,
        "expire_time": upload.expire_time,
        "artifact_etag": upload.artifact_etag,
        "sealed_until": upload.sealed_until,
        "deduplicated": upload.deduplicated,
        "failure": upload.failure,
        "dropped": upload.dropped,
        "artifact": upload.artifact,
    }
