"""The audit trail, the hashes of its tree, and its signed heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.audit import APPLIED, REFUSED, AuditEntry, Recorded, StoredCheckpoint
from registry_grpc.domain.merkle import TILE, TILE_LEVELS, fold, leaf_hash
from registry_grpc.storage.sql.tables import audit as table
from registry_grpc.storage.sql.tables import audit_checkpoint, audit_node, log_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from registry_grpc.ports.audit import AuditFilter
    from registry_grpc.storage.sql.session import Record, Session

_HEAD = select(log_head.c.audit_size)
_RANGE = (
    select(table)
    .where(table.c.audit_index.between(bindparam("low"), bindparam("high")))
    .order_by(table.c.audit_index)
    .limit(bindparam("limit"))
)
_LEAVES = (
    select(table.c.leaf)
    .where(table.c.audit_index.between(bindparam("low"), bindparam("high")))
    .order_by(table.c.audit_index)
)
_NODES = (
    select(audit_node.c.hash)
    .where(audit_node.c.level == bindparam("at_level"), audit_node.c.idx.between(bindparam("low"), bindparam("high")))
    .order_by(audit_node.c.idx)
)
_STORED = select(func.max(audit_node.c.idx).label("last")).where(audit_node.c.level == bindparam("at_level"))
_ADD_NODES = insert_or_skip(audit_node).on_conflict_do_nothing()
_ADD_CHECKPOINT = insert_or_skip(audit_checkpoint).on_conflict_do_nothing()
_CHECKPOINTS = select(audit_checkpoint).order_by(audit_checkpoint.c.size.desc()).limit(bindparam("limit"))
_CHECKPOINTS_BELOW = _CHECKPOINTS.where(audit_checkpoint.c.size < bindparam("below"))


class AuditTrail:
    """Implements `ports.audit.Trail`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def size(self) -> int:
        """See the port."""
        row = self._session.one(_HEAD)
        return int(row.audit_size) if row else 0

    def get(self, index: int) -> Recorded | None:
        """See the port."""
        found = self.entries(index, index + 1, 1)
        return found[0] if found else None

    def list(self, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """See the port."""
        statement = select(table).where(*_conditions(wanted))
        if before is not None:
            statement = statement.where(table.c.audit_index <= before)
        rows = self._session.all(statement.order_by(table.c.audit_index.desc()).limit(limit))
        return [_entry(row) for row in rows]

    def entries(self, first: int, end: int, limit: int) -> Sequence[Recorded]:
        """See the port."""
        rows = self._session.all(_RANGE, {"low": first + 1, "high": end, "limit": limit})
        return [Recorded(_entry(row), bytes(row.leaf)) for row in rows]

    def hashes(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """See the port."""
        if level == 0:
            rows = self._session.all(_LEAVES, {"low": first + 1, "high": first + count})
            return [leaf_hash(bytes(row.leaf)) for row in rows]
        rows = self._session.all(_NODES, {"at_level": level, "low": first, "high": first + count - 1})
        found = [bytes(row.hash) for row in rows]
        # What the checkpointer has not come to yet is made of the level below.
        for index in range(first + len(found), first + count):
            below = self.hashes(level - TILE_LEVELS, index * TILE, TILE)
            if len(below) != TILE:
                break
            found.append(fold(below))
        return found

    def stored_nodes(self, level: int) -> int:
        """See the port."""
        row = self._session.one(_STORED, {"at_level": level})
        return 0 if row is None or row.last is None else int(row.last) + 1

    def add_nodes(self, level: int, first: int, hashes: Sequence[bytes]) -> None:
        """See the port."""
        rows = [{"level": level, "idx": first + at, "hash": each} for at, each in enumerate(hashes)]
        self._session.change(_ADD_NODES, rows)

    def checkpoint(self, max_size: int = 0) -> StoredCheckpoint | None:
        """See the port."""
        found = self.checkpoints(before=max_size + 1 if max_size else None, limit=1)
        return found[0] if found else None

    def covering(self, size: int) -> StoredCheckpoint | None:
        """See the port."""
        newest = self.checkpoint()
        return newest if newest is not None and newest.size >= size else None

    def checkpoints(self, *, before: int | None, limit: int) -> Sequence[StoredCheckpoint]:
        """See the port."""
        if before is None:
            rows = self._session.all(_CHECKPOINTS, {"limit": limit})
        else:
            rows = self._session.all(_CHECKPOINTS_BELOW, {"limit": limit, "below": before})
        return [StoredCheckpoint(size=row.size, root=bytes(row.root), note=row.note, time=row.time) for row in rows]

    def add_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """See the port."""
        values = {
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": checkpoint.note,
            "time": checkpoint.time,
        }
        self._session.change(_ADD_CHECKPOINT, values)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    columns = table.c
    found: list[ColumnElement[bool]] = []
    project = wanted.project or project_of(wanted.resource)
    if project:
        found.append(columns.project == project)
    if wanted.actor:
        found.append(columns.actor == wanted.actor)
    if wanted.resource:
        inside = columns.resource.startswith(wanted.resource + "/", autoescape=True)
        found.append((columns.resource == wanted.resource) | inside)
    if wanted.method:
        ends = columns.method.endswith("." + wanted.method, autoescape=True)
        found.append((columns.method == wanted.method) | ends)
    if wanted.outcome:
        found.append(columns.outcome != APPLIED if wanted.outcome == REFUSED else columns.outcome == wanted.outcome)
    if wanted.request_id:
        found.append(columns.request_id == wanted.request_id)
    if wanted.from_time is not None:
        found.append(columns.time >= wanted.from_time)
    if wanted.to_time is not None:
        found.append(columns.time < wanted.to_time)
    return found


def project_of(resource: str) -> str:
    """The project in a resource name; empty for none."""
    collection, _, rest = resource.partition("/")
    return rest.partition("/")[0] if collection == "projects" else ""


def _entry(row: Record) -> AuditEntry:
    return AuditEntry(
        number=row.audit_index,
        revision=row.revision,
        time=row.time,
        actor=row.actor,
        method=row.method,
        resource=row.resource,
        request_id=row.request_id,
        outcome=row.outcome,
        after=bytes(row.detail),
        authentication=row.authentication,
        peer=row.peer,
        before=bytes(row.before),
        changes=row.changes,
    )
