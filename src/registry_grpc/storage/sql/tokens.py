"""Access tokens; only their hash is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select

from registry_grpc.domain.identity import Token
from registry_grpc.storage.sql.tables import token as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.storage.sql.session import Record, Session

_GET = select(table).where(table.c.id == bindparam("token_id"))
_LIST = select(table).order_by(table.c.create_time, table.c.id)
_INSERT = insert(table)


class Tokens:
    """Implements `ports.repositories.Tokens`."""

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

    def insert(self, token: Token) -> None:
        """See the port."""
        values = {
            "id": token.id,
            "secret_hash": token.secret_hash,
            "principal": token.principal,
            "create_time": token.create_time,
            "expire_time": token.expire_time,
            "revoke_time": token.revoke_time,
        }
        self._session.change(_INSERT, values)


def _token(row: Record) -> Token:
    return Token(
        id=row.id,
        secret_hash=row.secret_hash,
        principal=row.principal,
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
    )
