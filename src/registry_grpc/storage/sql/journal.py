"""What a committed change leaves beside its rows: revision, events, audit entry, and the answer kept for a retry."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, literal, select, update

from registry_grpc.domain.audit import APPLIED, AuditEntry
from registry_grpc.domain.calls import Committed
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import place_of
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.resources import Version
from registry_grpc.storage.sql.changes import changed
from registry_grpc.storage.sql.documents import RESOURCES, resource_type
from registry_grpc.storage.sql.tables import audit, event, idempotency, log_head
from registry_grpc.storage.sql.trail import project_of
from registry_grpc.storage.sql.usage import CHANGE, change_values, to_account

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Executable

    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.events import Event, Occurrence, Resource
    from registry_grpc.domain.tenancy import Account, Usage
    from registry_grpc.storage.sql.session import Record, Session

KEEP = timedelta(hours=24)
"""How long an answer is kept for a retry."""

_HEAD = select(log_head.c.revision)
_LENGTHEN = (
    update(log_head).values(audit_size=log_head.c.audit_size + bindparam("more")).returning(log_head.c.audit_size)
)
_FORGET = delete(idempotency).where(
    idempotency.c.principal == bindparam("by"), idempotency.c.request_id == bindparam("with_id")
)
_EXPIRED = (
    select(idempotency.c.principal, idempotency.c.request_id)
    .where(idempotency.c.create_time <= bindparam("until"))
    .order_by(idempotency.c.create_time)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True)
class Statements:
    """Those that bring the database's time along, which is a column on one engine only."""

    advance: Executable
    advance_using: Executable
    """As `advance`, with `usage.CHANGE` before it in one statement: for an engine where each costs a round trip."""
    recall: Executable

    @classmethod
    def with_clock(cls, clock: ColumnElement[Any]) -> Statements:
        """`clock` is the column; NULL when there is none."""
        known = (idempotency.c.principal == bindparam("by")) & (idempotency.c.request_id == bindparam("with_id"))
        anchor = select(literal(1).label("one")).subquery("anchor")
        advance = update(log_head).values(revision=log_head.c.revision + 1, audit_size=log_head.c.audit_size + 1)
        taken = (log_head.c.revision, log_head.c.audit_size, clock.label("clock"))
        # The usage first: its row is found before the head is waited for, so that it is not looked up anew after that.
        used = CHANGE.returning(literal(1).label("head")).cte("used")
        return cls(
            advance=advance.returning(*taken),
            advance_using=advance.where(log_head.c.id == used.c.head).returning(*taken, *used.c),
            # One row in any case: the time comes even when there is no record.
            recall=select(clock.label("clock"), idempotency).select_from(anchor.outerjoin(idempotency, known)),
        )


def take_revision(session: Session, statements: Statements) -> tuple[int, int]:
    """The next revision and audit index; locks the head of the log to the end of the transaction."""
    row = session.lock(statements.advance, {})
    if row is None:
        msg = "the log has no head; the database was not set up"
        raise LookupError(msg)
    _learn_time(session, row)
    return row.revision, row.audit_size


def take_revision_using(
    session: Session, statements: Statements, project: str, change: Usage
) -> tuple[int, int, Account]:
    """As `take_revision`, with `change` made to what the project uses; its row is locked just before the head.

    Raises: PROJECT_NOT_FOUND.
    """
    row = session.lock(statements.advance_using, change_values(project, change))
    account = to_account(row, project)
    _learn_time(session, row)
    return row.revision, row.audit_size, account  # type: ignore[union-attr]  # None was refused


def present_revision(session: Session) -> int:
    """The newest committed revision."""
    row = session.one(_HEAD)
    return int(row.revision) if row else 0


def recall(session: Session, statements: Statements, call: Call[Any]) -> Committed[Any] | None:
    """The first answer to this call, if it was made before within `KEEP`.

    Raises: REQUEST_ID_REUSED.
    """
    values = {"by": call.principal.name, "with_id": call.request_id}
    row = session.one(statements.recall, values)
    if row is None:
        return None
    _learn_time(session, row)
    if row.request_id is None:
        return None
    if row.create_time <= session.now - KEEP:
        if session.writable:
            session.change(_FORGET, values)
        return None
    if (row.method, row.body_hash) != (call.method, call.body_hash):
        raise RegistryError(
            Reason.REQUEST_ID_REUSED,
            f"request_id {call.request_id!r} was used for another {row.method} within 24 hours; use a new one",
            requestId=call.request_id,
            method=row.method,
        )
    return Committed(replay=row.answer, revision=row.revision)


def remember(session: Session, call: Call[Any], answer: bytes, revision: int) -> None:
    """Keep the answer."""
    session.add(
        idempotency,
        {
            "principal": call.principal.name,
            "request_id": call.request_id,
            "method": call.method,
            "body_hash": call.body_hash,
            "answer": answer,
            "revision": revision,
            "create_time": session.now,
        },
    )


def forget_expired(session: Session, limit: int) -> int:
    """Drop up to `limit` answers that are older than `KEEP`; returns how many there were."""
    rows = session.all(_EXPIRED, {"until": session.now - KEEP, "limit": limit})
    if rows:
        session.change(_FORGET, [{"by": row.principal, "with_id": row.request_id} for row in rows])
    return len(rows)


def write_log(session: Session, entry_of: AuditSubject, events: tuple[Event, ...], seen: Sequence[object]) -> None:
    """Add the events and the audit entry of this transaction; `seen` is what it read, in order."""
    digest = hashlib.sha256()
    rows = [_event_row(one) for one in events]
    for row in rows:
        digest.update(row["payload"].encode())
    session.add(event, *rows)
    change = changed(events, seen)
    entry = AuditEntry(
        number=entry_of.number,
        revision=entry_of.revision,
        time=session.now,
        actor=entry_of.actor,
        method=entry_of.method,
        resource=entry_of.resource,
        request_id=entry_of.request_id,
        outcome=APPLIED,
        after=digest.digest() if rows else b"",
        authentication=entry_of.authentication,
        peer=entry_of.peer,
        before=change.before,
        changes=change.changes,
    )
    session.add(audit, _audit_row(entry))


def write_occurrences(session: Session, occurrences: Sequence[Occurrence]) -> None:
    """Add an audit entry for each call that was refused: they take an index and no revision."""
    row = session.lock(_LENGTHEN, {"more": len(occurrences)})
    if row is None:
        msg = "the log has no head; the database was not set up"
        raise LookupError(msg)
    first = row.audit_size - len(occurrences) + 1
    entries = [
        AuditEntry(
            number=first + at,
            revision=0,
            time=session.now,
            actor=each.actor,
            method=each.method,
            resource=each.resource,
            request_id=each.request_id,
            outcome=each.outcome,
            after=b"",
            authentication=each.authentication,
            peer=each.peer,
        )
        for at, each in enumerate(occurrences)
    ]
    session.add(audit, *(_audit_row(entry) for entry in entries))


def _audit_row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "audit_index": entry.number,
        "revision": entry.revision,
        "leaf": entry.leaf(),
        "time": entry.time,
        "actor": entry.actor,
        "method": entry.method,
        "resource": entry.resource,
        "request_id": entry.request_id,
        "outcome": entry.outcome,
        "detail": entry.after,
        "project": project_of(entry.resource),
        "authentication": entry.authentication,
        "peer": entry.peer,
        "before": entry.before,
        "changes": entry.changes,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSubject:
    """Who changed what, as the audit entry names it."""

    number: int
    revision: int
    actor: str
    authentication: str
    peer: str
    method: str
    resource: str
    request_id: str


def _learn_time(session: Session, row: Record) -> None:
    clock: datetime | None = row.clock
    if clock is not None:
        session.learn_now(clock)


def _event_row(one: Event) -> dict[str, Any]:
    kind = resource_type(one.after)
    project, model, stage = _places(one.after)
    return {
        "revision": one.revision,
        "idx": one.index,
        "project": project,
        "model": model,
        "resource_type": kind,
        "stage": stage,
        "action": one.action,
        "payload": RESOURCES[kind][1].encode(one.after),
        "actor": one.actor,
        "request_id": one.request_id,
        "time": one.time,
    }


def _places(resource: Resource) -> tuple[str, str, str]:
    """Project, model and stage of an event, for followers that want only some."""
    stage = ""
    if isinstance(resource, Version):
        stage = resource.stage
    elif isinstance(resource, Pointer) and resource.kind is PointerKind.STAGE:
        stage = resource.id
    return (*place_of(resource), stage)
