"""Access tokens; only their hash is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from registry_grpc.domain.identity import Token
from registry_grpc.storage.sql.tables import token as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_GET = select(table).where(table.c.id == bindparam("token_id"))
_LIST = select(table).order_by(table.c.create_time, table.c.id)
_OF = (
    select(table)
    .where(table.c.principal == bindparam("whose"))
    .order_by(table.c.create_time.desc(), table.c.id.desc())
    .limit(bindparam("limit"))
)
_AFTER = tuple_(bindparam("after_time", type_=table.c.create_time.type), bindparam("after_id"))
_OF_AFTER = _OF.where(tuple_(table.c.create_time, table.c.id) < _AFTER)
_REVOKED = select(table).where(table.c.revoke_time >= bindparam("since"))
_INSERT = insert(table)
_EXPIRED = (
    select(table.c.id)
    .where(table.c.expire_time < bindparam("before", type_=table.c.expire_time.type))
    .order_by(table.c.expire_time)
    .limit(bindparam("limit"))
)
_FORGET = delete(table).where(table.c.id.in_(bindparam("ids", expanding=True)))
_UPDATE = update(table).where(table.c.id == bindparam("key"))


class Tokens:
    """Implements `ports.access.Tokens`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, token_id: str) -> Token | None:
        """See the port."""
        row = self._session.one(_GET, {"token_id": token_id})
        return _token(row) if row else None

    def list(self) -> Sequence[Token]:
        """See the port."""
        return [_token(row) for row in self._session.all(_LIST)]

    def of(self, principal: str, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Token]:
        """See the port."""
        time, token_id = after or (None, "")
        values = {"whose": principal, "after_time": time, "after_id": token_id, "limit": limit}
        rows = self._session.all(_OF_AFTER if after else _OF, values)
        return [_token(row) for row in rows]

    def revoked_since(self, time: datetime) -> Sequence[Token]:
        """See the port."""
        return [_token(row) for row in self._session.all(_REVOKED, {"since": time})]

    def insert(self, token: Token) -> None:
        """See the port."""
        self._session.change(_INSERT, _values(token))

    def update(self, token: Token) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {"key": token.id, **_values(token)})

    def forget(self, before: datetime, limit: int) -> int:
        """See the port."""
        ids = [row.id for row in self._session.all(_EXPIRED, {"before": before, "limit": limit})]
        return self._session.change(_FORGET, {"ids": ids}) if ids else 0


def _values(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "secret_hash": token.secret_hash,
        "principal": token.principal,
        "description": token.description,
        "creator": token.creator,
        "create_time": token.create_time,
        "expire_time": token.expire_time,
        "revoke_time": token.revoke_time,
        "revision": token.revision,
    }


def _token(row: Record) -> Token:
    return Token(
        id=row.id,
        secret_hash=row.secret_hash,
        principal=row.principal,
        description=row.description,
        creator=row.creator,
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
        revision=row.revision,
    )
