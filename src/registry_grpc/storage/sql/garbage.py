"""Bytes nobody needs, and objects nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.artifacts import BlobState, UploadState
from registry_grpc.domain.garbage import Tally
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql.blobs import to_blob
from registry_grpc.storage.sql.tables import artifact, blob, model, orphan, registry, upload, version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.ports.artifacts import Stored
    from registry_grpc.storage.sql.session import Session

_NO_LEASE = or_(blob.c.lease_until.is_(None), blob.c.lease_until <= bindparam("now", type_=blob.c.lease_until.type))
_HAS_FILE = exists(select(artifact.c.blob_uid).where(artifact.c.blob_uid == blob.c.uid))
_IDLE = (
    select(blob, and_(~_HAS_FILE, _NO_LEASE).label("is_idle"))
    .where(blob.c.uid > bindparam("after"), blob.c.state.in_([BlobState.LIVE, BlobState.DAMAGED]))
    .order_by(blob.c.uid)
    .limit(bindparam("limit"))
)
# The words are spelled out as in the index `ix_blob_unneeded`, or a planner would not know that it applies.
_UNNEEDED = blob.c.state.in_([BlobState.CONDEMNED, BlobState.DELETING])
_IS_DUE = and_(blob.c.condemned_at <= bindparam("before", type_=blob.c.condemned_at.type), _NO_LEASE)
_ORDER = (blob.c.condemned_at, blob.c.uid)
_DUE = select(blob).where(_UNNEEDED, _IS_DUE).order_by(*_ORDER).limit(bindparam("limit"))
_DUE_AFTER = _DUE.where(
    tuple_(*_ORDER) > tuple_(bindparam("after_time", type_=blob.c.condemned_at.type), bindparam("after_uid"))
)
_TOTALS = (
    select(_IS_DUE.label("is_due"), func.count(), func.coalesce(func.sum(blob.c.size_bytes), 0))
    .where(_UNNEEDED)
    .group_by(_IS_DUE)
)
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_UIDS: BindParameter[Any] = bindparam("uids", expanding=True)
_LOCK_KEYS = select(blob).where(blob.c.key.in_(_KEYS)).order_by(blob.c.uid).with_for_update(key_share=True)
_IN_USE = select(artifact.c.blob_uid).where(artifact.c.blob_uid.in_(_UIDS)).distinct()
_RETIRE = update(blob).where(blob.c.uid.in_(_UIDS)).values(state=BlobState.DELETING)
_BURY = update(blob).where(blob.c.uid.in_(_UIDS), blob.c.state == BlobState.DELETING).values(state=BlobState.GONE)
_OF_BLOBS = select(blob.c.key).where(blob.c.key.in_(_KEYS), blob.c.state != BlobState.GONE)
# The object of a COMMITTED one is its blob's.
_OF_UPLOADS = select(upload.c.key).where(
    upload.c.key.in_(_KEYS), upload.c.state != UploadState.COMMITTED, ~upload.c.dropped
)
_NAMES = tuple_(orphan.c.key, orphan.c.store_upload).in_(bindparam("names", expanding=True))
_SEEN = select(orphan).where(_NAMES)
_INSERT = upsert(orphan)
_NOTE = _INSERT.on_conflict_do_update(
    index_elements=[orphan.c.key, orphan.c.store_upload], set_={"last_seen": _INSERT.excluded.last_seen}
)
_FORGET = delete(orphan).where(_NAMES)
_UNSEEN = (
    select(orphan.c.key, orphan.c.store_upload)
    .where(orphan.c.last_seen < bindparam("before", type_=orphan.c.last_seen.type))
    .order_by(orphan.c.last_seen)
    .limit(bindparam("limit"))
)
_CROWDED = (
    select(version.c.model_uid)
    .join(model, model.c.uid == version.c.model_uid)
    .where(
        version.c.project == bindparam("project"),
        version.c.model_uid > bindparam("after"),
        version.c.state != VersionState.DRAFT,
        version.c.delete_time.is_(None),
        model.c.delete_time.is_(None),
        ~model.c.buried,
    )
    .group_by(version.c.model_uid)
    .having(func.count() > bindparam("more_than"))
    .order_by(version.c.model_uid)
    .limit(bindparam("limit"))
)
_IS_MARKED = select(registry.c.marked)
_MARK = update(registry).values(marked=True)


class Garbage:
    """Implements `ports.garbage.Garbage`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def idle(self, after: str, limit: int) -> tuple[Sequence[Blob], str]:
        """See the port."""
        rows = self._session.all(_IDLE, {"after": after, "limit": limit, "now": self._session.now})
        return [to_blob(row) for row in rows if row.is_idle], rows[-1].uid if len(rows) == limit else ""

    def due(self, before: datetime, after: tuple[datetime, str] | None, limit: int) -> Sequence[Blob]:
        """See the port."""
        time, uid = after or (None, "")
        values = {"before": before, "now": self._session.now, "limit": limit, "after_time": time, "after_uid": uid}
        return [to_blob(row) for row in self._session.all(_DUE_AFTER if after else _DUE, values)]

    def totals(self, before: datetime) -> tuple[Tally, Tally]:
        """See the port."""
        waiting = due = Tally()
        for is_due, count, size_bytes in self._session.all(_TOTALS, {"before": before, "now": self._session.now}):
            tally = Tally(int(count), int(size_bytes))
            due, waiting = (due + tally, waiting) if is_due else (due, waiting + tally)
        return waiting, due

    def lock_keys(self, keys: Collection[str]) -> Sequence[Blob]:
        """See the port."""
        return [to_blob(row) for row in self._session.lock_rows(_LOCK_KEYS, {"keys": sorted(keys)})]

    def in_use(self, blob_uids: Collection[str]) -> frozenset[str]:
        """See the port."""
        return frozenset(row.blob_uid for row in self._session.all(_IN_USE, {"uids": sorted(blob_uids)}))

    def retire(self, blob_uids: Collection[str]) -> None:
        """See the port."""
        if blob_uids:
            self._session.change(_RETIRE, {"uids": sorted(blob_uids)})

    def bury(self, blob_uids: Collection[str]) -> int:
        """See the port."""
        return self._session.change(_BURY, {"uids": sorted(blob_uids)}) if blob_uids else 0

    def known(self, keys: Collection[str]) -> frozenset[str]:
        """See the port."""
        wanted = {"keys": sorted(keys)}
        return frozenset(row.key for query in (_OF_BLOBS, _OF_UPLOADS) for row in self._session.all(query, wanted))

    def seen(self, found: Sequence[Stored]) -> Mapping[Stored, datetime]:
        """See the port."""
        by_name = {_name(each): each for each in found}
        rows = self._session.all(_SEEN, {"names": list(by_name)}) if by_name else ()
        return {by_name[row.key, row.store_upload]: row.first_seen for row in rows}

    def note(self, found: Sequence[Stored]) -> None:
        """See the port."""
        now = self._session.now
        rows = [{"key": each.key, "store_upload": each.store_upload} for each in found]
        if rows:
            self._session.change(_NOTE, [row | {"first_seen": now, "last_seen": now} for row in rows])

    def forget(self, found: Sequence[Stored]) -> None:
        """See the port."""
        if found:
            self._session.change(_FORGET, {"names": [_name(each) for each in found]})

    def forget_unseen(self, before: datetime, limit: int) -> int:
        """See the port."""
        rows = self._session.all(_UNSEEN, {"before": before, "limit": limit})
        if rows:
            self._session.change(_FORGET, {"names": [(row.key, row.store_upload) for row in rows]})
        return len(rows)

    def crowded(self, project: str, more_than: int, *, after: str, limit: int) -> Sequence[str]:
        """See the port."""
        values = {"project": project, "more_than": more_than, "after": after, "limit": limit}
        return [row.model_uid for row in self._session.all(_CROWDED, values)]

    def is_marked(self) -> bool:
        """See the port."""
        row = self._session.one(_IS_MARKED)
        return bool(row.marked) if row else False

    def mark(self) -> None:
        """See the port."""
        self._session.change(_MARK, {})


def _name(found: Stored) -> tuple[str, str]:
    return found.key, found.store_upload
