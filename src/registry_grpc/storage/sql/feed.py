"""The event log as followers read it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select

from registry_grpc.domain.events import Event
from registry_grpc.storage.sql.documents import RESOURCES
from registry_grpc.storage.sql.tables import event as table
from registry_grpc.storage.sql.tables import log_head, registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_HEAD = select(log_head.c.revision)
_ORDER = (table.c.revision, table.c.idx)
_AFTER = select(table).where(table.c.revision > bindparam("after")).order_by(*_ORDER).limit(bindparam("limit"))
_AT = select(table).where(table.c.revision == bindparam("revision")).order_by(table.c.idx)

_OLDEST = select(func.min(table.c.revision).label("revision"))
_EPOCH = select(registry.c.epoch)
_OLD = (
    select(table.c.revision, func.max(table.c.time).label("time"))
    .group_by(table.c.revision)
    .order_by(table.c.revision)
    .limit(bindparam("limit"))
)
_FORGET = delete(table).where(table.c.revision <= bindparam("upto"))


class Feed:
    """Implements `ports.repositories.Feed`."""

    def __init__(self, session: Session) -> None:
        """Reads through `session`."""
        self._session = session

    def head(self) -> int:
        """See the port."""
        row = self._session.one(_HEAD)
        return int(row.revision) if row else 0

    def oldest(self) -> int:
        """See the port."""
        row = self._session.one(_OLDEST)
        return int(row.revision) if row and row.revision is not None else self.head() + 1

    def epoch(self) -> int:
        """See the port."""
        row = self._session.one(_EPOCH)
        return int(row.epoch) if row else 0

    def compact(self, before: datetime, limit: int, upto: int | None = None) -> int:
        """See the port."""
        head = self.head() if upto is None else min(self.head(), upto + 1)
        old = []
        for row in self._session.all(_OLD, {"limit": limit}):
            if row.time >= before or row.revision >= head:
                break
            old.append(row.revision)
        if old:
            self._session.change(_FORGET, {"upto": old[-1]})
        return len(old)

    def after(self, revision: int, limit: int) -> Sequence[Event]:
        """See the port."""
        wanted = max(limit, 1)
        rows = self._session.all(_AFTER, {"after": revision, "limit": wanted + 1})
        if len(rows) <= wanted:
            return [_event(row) for row in rows]
        # The last revision may be cut short: leave it for the next call, or fetch the whole of it when it is the only.
        groups = [list(group) for _, group in groupby(rows, key=lambda row: row.revision)]
        if len(groups) == 1:
            groups = [list(self._session.all(_AT, {"revision": rows[0].revision})), []]
        return [_event(row) for group in groups[:-1] for row in group]

    def at(self, revision: int) -> Sequence[Event]:
        """See the port."""
        return [_event(row) for row in self._session.all(_AT, {"revision": revision})]


def _event(row: Record) -> Event:
    _, codec = RESOURCES[row.resource_type]
    return Event(
        revision=row.revision,
        index=row.idx,
        action=row.action,
        after=codec.decode(row.payload),
        actor=row.actor,
        request_id=row.request_id,
        time=row.time,
    )
