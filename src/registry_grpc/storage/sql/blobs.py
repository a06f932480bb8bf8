"""Bytes held, content-addressed inside a project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, exists, func, insert, or_, select, tuple_, update

from registry_grpc.domain.artifacts import Blob, BlobState
from registry_grpc.domain.digests import Digest
from registry_grpc.storage.sql.tables import artifact
from registry_grpc.storage.sql.tables import blob as table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_AT_ONCE = 500

_GET = select(table).where(table.c.uid == bindparam("uid"))
_FIND = select(table).where(
    table.c.project == bindparam("project"),
    table.c.state == BlobState.LIVE,
    tuple_(table.c.sha256, table.c.size_bytes).in_(bindparam("digests", expanding=True)),
)
# The words are spelled out as in the index `ux_blob_held`, or a planner would not know that it applies.
_CLAIM = (
    select(table)
    .where(
        table.c.project == bindparam("project"),
        table.c.sha256 == bindparam("sha256"),
        table.c.size_bytes == bindparam("size_bytes"),
        table.c.state.in_([BlobState.LIVE, BlobState.CONDEMNED]),
    )
    .with_for_update(key_share=True)
)
_CLAIM_ALL = (
    select(table)
    .where(
        table.c.project == bindparam("project"),
        tuple_(table.c.sha256, table.c.size_bytes).in_(bindparam("digests", expanding=True)),
        table.c.state.in_([BlobState.LIVE, BlobState.CONDEMNED]),
    )
    .order_by(table.c.uid)
    .with_for_update(key_share=True)
)
_LOCK_ALL = (
    select(table)
    .where(table.c.uid.in_(bindparam("uids", expanding=True)))
    .order_by(table.c.uid)
    .with_for_update(key_share=True)
)
# Bad bytes are given to nobody again, so they need no time in which somebody may.
_CONDEMNED = case((table.c.state == BlobState.LIVE, BlobState.CONDEMNED), else_=BlobState.DELETING)
_AT = bindparam("at", type_=table.c.condemned_at.type)
_HELD = table.c.state.in_([BlobState.LIVE, BlobState.DAMAGED])
_CONDEMN = (
    update(table)
    .where(
        table.c.uid.in_(bindparam("uids", expanding=True)),
        _HELD,
        ~exists(select(artifact.c.blob_uid).where(artifact.c.blob_uid == table.c.uid)),
    )
    .values(state=_CONDEMNED, condemned_at=_AT)
    .returning(table.c.size_bytes)
)
_ONLY_IN = select(func.coalesce(func.sum(table.c.size_bytes), 0)).where(
    table.c.uid.in_(bindparam("uids", expanding=True)),
    _HELD,
    ~exists(
        select(artifact.c.blob_uid).where(
            artifact.c.blob_uid == table.c.uid, artifact.c.version_uid != bindparam("in_version")
        )
    ),
)
_RELEASE = (
    update(table)
    .where(table.c.project == bindparam("of"), table.c.state != BlobState.GONE)
    # One that waits already goes on waiting.
    .values(state=BlobState.DELETING, condemned_at=func.coalesce(table.c.condemned_at, _AT))
)
_TOTALS = select(table.c.state, func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)).group_by(table.c.state)
_REVIVE = update(table).where(table.c.uid == bindparam("with_uid")).values(state=BlobState.LIVE, condemned_at=None)
_INSERT = insert(table)
_LOCK = _GET.with_for_update(key_share=True)
_DUE = (
    select(table)
    .where(table.c.state == bindparam("in_state"), table.c.check_time < bindparam("before"))
    .order_by(table.c.check_time)
    .limit(1)
)
_CHECKED_FIELDS = ("state", "check_time", "damage", "damage_time", "condemned_at")
_CHECKED = update(table).where(table.c.uid == bindparam("with_uid"))
_DAMAGED = (
    select(table.c.uid)
    .where(
        table.c.project == bindparam("project"),
        table.c.sha256 == bindparam("sha256"),
        table.c.size_bytes == bindparam("size_bytes"),
        table.c.state == BlobState.DAMAGED,
    )
    .with_for_update(key_share=True)
)
_HAND_OVER = update(artifact).where(artifact.c.blob_uid == bindparam("from_uid")).values(blob_uid=bindparam("to_uid"))
_RETIRE = update(table).where(table.c.uid == bindparam("with_uid")).values(state=BlobState.DELETING, condemned_at=_AT)
_EXTEND = update(table).where(
    table.c.uid.in_(bindparam("uids", expanding=True)),
    or_(table.c.lease_until.is_(None), table.c.lease_until < bindparam("until", type_=table.c.lease_until.type)),
)


class Blobs:
    """Implements `ports.stored.Blobs`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, blob_uid: str) -> Blob | None:
        """See the port."""
        row = self._session.one(_GET, {"uid": blob_uid})
        return to_blob(row) if row else None

    def find_live(self, project: str, digests: Collection[Digest]) -> Sequence[Blob]:
        """See the port."""
        wanted = [(digest.sha256, digest.size_bytes) for digest in digests]
        found: list[Blob] = []
        for start in range(0, len(wanted), _AT_ONCE):
            values = {"project": project, "digests": wanted[start : start + _AT_ONCE]}
            found += map(to_blob, self._session.all(_FIND, values))
        return found

    def totals(self) -> Mapping[BlobState, tuple[int, int]]:
        """See the port."""
        rows = self._session.all(_TOTALS, {})
        return {BlobState(state): (int(objects), int(size_bytes)) for state, objects, size_bytes in rows}

    def hold(self, project: str, digest: Digest) -> Blob | None:
        """See the port."""
        values = {"project": project, "sha256": digest.sha256, "size_bytes": digest.size_bytes}
        row = self._session.lock(_CLAIM, values)
        return to_blob(row) if row else None

    def claim(self, project: str, digest: Digest) -> Blob | None:
        """See the port."""
        held = self.hold(project, digest)
        if held is not None and held.state is BlobState.CONDEMNED:
            self._session.change(_REVIVE, {"with_uid": held.uid})
            held = replace(held, state=BlobState.LIVE)
        return held

    def hold_all(self, project: str, digests: Collection[Digest]) -> Sequence[Blob]:
        """See the port."""
        wanted = sorted({(digest.sha256, digest.size_bytes) for digest in digests})
        found: list[Blob] = []
        for start in range(0, len(wanted), _AT_ONCE):
            values = {"project": project, "digests": wanted[start : start + _AT_ONCE]}
            found += map(to_blob, self._session.lock_rows(_CLAIM_ALL, values))
        return found

    def revive(self, blobs: Sequence[Blob]) -> None:
        """See the port."""
        if blobs:
            self._session.change(_REVIVE, [{"with_uid": blob.uid} for blob in blobs])

    def insert_all(self, blobs: Sequence[Blob]) -> None:
        """See the port."""
        if blobs:
            self._session.change(_INSERT, [_values(blob) for blob in blobs])

    def lock_all(self, blob_uids: Collection[str]) -> Sequence[Blob]:
        """See the port."""
        wanted = sorted(blob_uids)
        found: list[Blob] = []
        for start in range(0, len(wanted), _AT_ONCE):
            found += map(to_blob, self._session.lock_rows(_LOCK_ALL, {"uids": wanted[start : start + _AT_ONCE]}))
        return found

    def condemn(self, blob_uids: Collection[str]) -> int:
        """See the port."""
        wanted = sorted(blob_uids)
        freed = 0
        for start in range(0, len(wanted), _AT_ONCE):
            values = {"uids": wanted[start : start + _AT_ONCE], "at": self._session.now}
            rows = self._session.lock_rows(_CONDEMN, values)
            freed += sum(int(row.size_bytes) for row in rows)
        return freed

    def release(self, project: str) -> None:
        """See the port."""
        self._session.change(_RELEASE, {"of": project, "at": self._session.now})

    def insert(self, blob: Blob) -> None:
        """See the port."""
        self._session.change(_INSERT, _values(blob))

    def lock(self, blob_uid: str) -> Blob | None:
        """See the port."""
        row = self._session.lock(_LOCK, {"uid": blob_uid})
        return to_blob(row) if row else None

    def due(self, before: datetime) -> Blob | None:
        """See the port."""
        # One state at a time, so that the index gives the first row at once.
        rows = [
            self._session.one(_DUE, {"in_state": state, "before": before})
            for state in (BlobState.LIVE, BlobState.DAMAGED)
        ]
        found = sorted((row for row in rows if row), key=lambda row: row.check_time)
        return to_blob(found[0]) if found else None

    def checked(self, blob: Blob) -> None:
        """See the port."""
        values = _values(blob)
        said = {name: values[name] for name in _CHECKED_FIELDS}
        self._session.change(_CHECKED, {"with_uid": blob.uid, **said})

    def count_damaged(self, project: str, digest: Digest) -> int:
        """See the port."""
        values = {"project": project, "sha256": digest.sha256, "size_bytes": digest.size_bytes}
        return len(self._session.lock_rows(_DAMAGED, values))

    def bytes_only_in(self, version_uid: str, blob_uids: Collection[str]) -> int:
        """See the port."""
        wanted = sorted(blob_uids)
        found = 0
        for start in range(0, len(wanted), _AT_ONCE):
            values = {"uids": wanted[start : start + _AT_ONCE], "in_version": version_uid}
            row = self._session.one(_ONLY_IN, values)
            found += int(row[0]) if row else 0
        return found

    def heal(self, blob: Blob) -> int:
        """See the port."""
        values = {"project": blob.project, "sha256": blob.digest.sha256, "size_bytes": blob.digest.size_bytes}
        damaged = [row.uid for row in self._session.all(_DAMAGED, values)]
        for uid in damaged:
            self._session.stamp(_HAND_OVER, {"from_uid": uid, "to_uid": blob.uid})
            self._session.change(_RETIRE, {"with_uid": uid, "at": self._session.now})
        return len(damaged)

    def extend_lease(self, blob_uids: Collection[str], until: datetime) -> None:
        """See the port."""
        wanted = sorted(blob_uids)
        for start in range(0, len(wanted), _AT_ONCE):
            uids = wanted[start : start + _AT_ONCE]
            self._session.change(_EXTEND, {"uids": uids, "until": until, "lease_until": until})


def to_blob(row: Record) -> Blob:
    """What a row of the table says."""
    return Blob(
        uid=row.uid,
        project=row.project,
        digest=Digest(row.sha256, row.size_bytes),
        key=row.key,
        block_digests=row.block_digests,
        state=row.state,
        create_time=row.create_time,
        lease_until=row.lease_until,
        check_time=row.check_time if row.check_time > row.create_time else None,
        damage=row.damage,
        damage_time=row.damage_time,
        condemned_at=row.condemned_at,
    )


def _values(blob: Blob) -> dict[str, Any]:
    return {
        "uid": blob.uid,
        "project": blob.project,
        "sha256": blob.digest.sha256,
        "size_bytes": blob.digest.size_bytes,
        "key": blob.key,
        "block_digests": blob.block_digests,
        "state": blob.state,
        "create_time": blob.create_time,
        "lease_until": blob.lease_until,
        # Its bytes were hashed when they came.
        "check_time": blob.check_time or blob.create_time,
        "damage": blob.damage,
        "damage_time": blob.damage_time,
        "condemned_at": blob.condemned_at,
    }
