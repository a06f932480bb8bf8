"""Deliveries of webhooks: lines, claims and what came of them. They take no revision."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)

from registry_grpc.domain.webhook_names import WebhookName
from registry_grpc.domain.webhooks import Delivery, DeliveryState
from registry_grpc.storage.sql.tables import delivery as table
from registry_grpc.storage.sql.tables import webhook

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.ports.webhooks import Place
    from registry_grpc.storage.sql.session import Record, Session

_FULL = select(table, webhook.c.project, webhook.c.id.label("webhook_id")).join(
    webhook, webhook.c.uid == table.c.webhook_uid
)
_OF = table.c.webhook_uid == bindparam("of")
# The words are spelled out as in the indexes, or a planner would not know that they apply.
_PENDING_WORD: ColumnElement[Any] = literal_column("'pending'")
_DEAD_WORD: ColumnElement[Any] = literal_column("'dead'")
_PENDING = table.c.state == _PENDING_WORD
_ORDER = (table.c.create_time, table.c.event_revision, table.c.event_index, table.c.id)
_SOME = _FULL.where(_OF, table.c.id.in_(bindparam("ids", expanding=True)))
_DEAD = (
    _FULL.where(_OF, table.c.state == _DEAD_WORD)
    .order_by(table.c.event_revision, table.c.event_index)
    .limit(bindparam("limit"))
)
_INSERT = insert(table)
_line = table.alias("line")
_HEAD = (
    select(_line.c.id)
    .where(
        _line.c.webhook_uid == bindparam("of"),
        _line.c.lane == bindparam("in_lane"),
        _line.c.state == _PENDING_WORD,
    )
    .order_by(_line.c.event_revision, _line.c.event_index)
    .limit(1)
    .scalar_subquery()
)
_RAISE = update(table).where(table.c.id == _HEAD, table.c.next_attempt_time.is_(None))
# An old one that was put back in line stands before whatever had its turn.
_STANDS_BEHIND = exists(
    select(_line.c.id).where(
        _line.c.webhook_uid == table.c.webhook_uid,
        _line.c.lane == table.c.lane,
        _line.c.state == _PENDING_WORD,
        tuple_(_line.c.event_revision, _line.c.event_index) < tuple_(table.c.event_revision, table.c.event_index),
    )
)
_DUE = (
    _FULL.where(
        _PENDING,
        table.c.next_attempt_time <= bindparam("now"),
        ~webhook.c.disabled,
        table.c.webhook_uid.not_in(bindparam("busy", expanding=True)),
        ~_STANDS_BEHIND,
    )
    .order_by(table.c.next_attempt_time)
    .limit(bindparam("limit"))
)
_ENABLED = webhook.join(table, and_(webhook.c.uid == table.c.webhook_uid, ~webhook.c.disabled))
_NEXT = (
    select(table.c.next_attempt_time)
    .select_from(_ENABLED)
    .where(table.c.next_attempt_time.is_not(None))
    .order_by(table.c.next_attempt_time)
    .limit(1)
)
_OLDEST = select(func.min(table.c.create_time).label("create_time")).select_from(_ENABLED).where(_PENDING)
_ID = table.c.id == bindparam("with_id")
_CLAIM = update(table).where(_ID, _PENDING, table.c.next_attempt_time == bindparam("seen"))
_SETTLE = update(table).where(_ID, _PENDING, table.c.claim == bindparam("claimed"))
_REVIVE = (
    update(table)
    .where(_ID, ~_PENDING)
    .values(state=DeliveryState.PENDING, tries=0, next_attempt_time=None, end_time=None, claim="")
)
_OLD = select(table.c.id).where(table.c.end_time < bindparam("before")).order_by(table.c.end_time)
_FORGET = delete(table).where(table.c.id.in_(_OLD.limit(bindparam("limit"))))


@cache
def _list(*, from_start: bool, chosen: bool) -> Select[Any]:
    statement = _FULL.where(_OF)
    if chosen:
        statement = statement.where(table.c.state.in_(bindparam("states", expanding=True)))
    if not from_start:
        place = tuple_(
            bindparam("time", type_=table.c.create_time.type), bindparam("revision"), bindparam("idx"), bindparam("id")
        )
        statement = statement.where(tuple_(*_ORDER) < place)
    return statement.order_by(*(column.desc() for column in _ORDER)).limit(bindparam("limit"))


class Deliveries:
    """Implements `ports.webhooks.Deliveries`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def list(
        self, webhook_uid: str, states: Collection[DeliveryState], *, before: Place | None, limit: int
    ) -> Sequence[Delivery]:
        """See the port."""
        values: dict[str, Any] = {"of": webhook_uid, "states": list(states), "limit": limit}
        if before is not None:
            values |= {"time": before.create_time, "revision": before.revision, "idx": before.index, "id": before.id}
        return self._read(_list(from_start=before is None, chosen=bool(states)), values)

    def get_all(self, webhook_uid: str, ids: Collection[str]) -> Sequence[Delivery]:
        """See the port."""
        return self._read(_SOME, {"of": webhook_uid, "ids": list(ids)})

    def dead(self, webhook_uid: str, limit: int) -> Sequence[Delivery]:
        """See the port."""
        return self._read(_DEAD, {"of": webhook_uid, "limit": limit})

    def insert_all(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        if deliveries:
            self._session.change(_INSERT, [_values(each) for each in deliveries])

    def raise_heads(self, webhook_uid: str, lanes: Collection[str], now: datetime) -> None:
        """See the port."""
        values = {"of": webhook_uid, "next_attempt_time": now}
        if lanes:
            self._session.change(_RAISE, [{**values, "in_lane": lane} for lane in sorted(lanes)])

    def due(self, now: datetime, *, busy: Collection[str], limit: int) -> Sequence[Delivery]:
        """See the port."""
        return self._read(_DUE, {"now": now, "busy": list(busy), "limit": limit})

    def next_due(self) -> datetime | None:
        """See the port."""
        row = self._session.one(_NEXT)
        return row.next_attempt_time if row else None

    def oldest_pending(self) -> datetime | None:
        """See the port."""
        row = self._session.one(_OLDEST)
        return row.create_time if row else None

    def claim(self, delivery: Delivery, claim: str, until: datetime) -> bool:
        """See the port."""
        seen = {"with_id": delivery.id, "seen": delivery.next_attempt_time}
        return self._session.change(_CLAIM, {**seen, "claim": claim, "next_attempt_time": until}) == 1

    def settle(self, delivery: Delivery, claim: str) -> bool:
        """See the port."""
        values = {
            "with_id": delivery.id,
            "claimed": claim,
            "claim": "",
            "state": delivery.state,
            "attempts": delivery.attempts,
            "tries": delivery.tries,
            "next_attempt_time": delivery.next_attempt_time,
            "end_time": delivery.end_time,
        }
        return self._session.change(_SETTLE, values) == 1

    def revive(self, deliveries: Collection[Delivery]) -> None:
        """See the port."""
        if deliveries:
            self._session.change(_REVIVE, [{"with_id": each.id} for each in deliveries])

    def forget(self, before: datetime, limit: int) -> int:
        """See the port."""
        return self._session.change(_FORGET, {"before": before, "limit": limit})

    def _read(self, statement: Select[Any], values: dict[str, Any]) -> Sequence[Delivery]:
        return [_delivery(row) for row in self._session.all(statement, values)]


def _delivery(row: Record) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_uid=row.webhook_uid,
        webhook=WebhookName(row.project, row.webhook_id),
        lane=row.lane,
        event_revision=row.event_revision,
        event_index=row.event_index,
        event_type=row.event_type,
        subject=row.subject,
        body=row.body,
        state=row.state,
        attempts=row.attempts,
        tries=row.tries,
        next_attempt_time=row.next_attempt_time,
        create_time=row.create_time,
        end_time=row.end_time,
    )


def _values(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_uid": delivery.webhook_uid,
        "lane": delivery.lane,
        "event_revision": delivery.event_revision,
        "event_index": delivery.event_index,
        "event_type": delivery.event_type,
        "subject": delivery.subject,
        "body": delivery.body,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "tries": delivery.tries,
        "next_attempt_time": delivery.next_attempt_time,
        "claim": "",
        "create_time": delivery.create_time,
        "end_time": delivery.end_time,
    }
