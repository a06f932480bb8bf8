"""Leases: one holder at a time, and an epoch that tells an old holder from a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, or_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.storage.sql.tables import lease as table

if TYPE_CHECKING:
    from datetime import timedelta

    from registry_grpc.storage.sql.session import Session

_INSERT = upsert(table)
_SAME = table.c.holder == _INSERT.excluded.holder
# A lease given back keeps its last holder, so that the epoch rises for another one only.
_ACQUIRE = _INSERT.on_conflict_do_update(
    index_elements=[table.c.name],
    set_={
        "epoch": case((_SAME, table.c.epoch), else_=table.c.epoch + 1),
        "holder": _INSERT.excluded.holder,
        "expires": _INSERT.excluded.expires,
    },
    where=or_(_SAME, table.c.expires <= bindparam("now", type_=table.c.expires.type)),
).returning(table.c.epoch)
_RELEASE = update(table).where(table.c.name == bindparam("of"), table.c.holder == bindparam("by"))


def acquire(session: Session, name: str, holder: str, ttl: timedelta) -> int | None:
    """The epoch, or None while another holder has the lease."""
    now = session.now
    values = {"name": name, "holder": holder, "epoch": 1, "expires": now + ttl, "now": now}
    row = session.lock(_ACQUIRE, values)
    return int(row.epoch) if row else None


def release(session: Session, name: str, holder: str) -> None:
    """Let the lease expire now, if `holder` has it."""
    session.change(_RELEASE, {"of": name, "by": holder, "expires": session.now})
