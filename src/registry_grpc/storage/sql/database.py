"""What the store needs of an engine, and which one an address means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from registry_grpc.storage.sql.faults import AddressError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import URL, ColumnElement, Connection, Engine, QueuePool

T = TypeVar("T")


class Database(Protocol):
    """One engine with its connections. Safe to use from many threads."""

    @property
    def clock_column(self) -> ColumnElement[Any]:
        """The present time, for a statement to bring along; NULL where the process has the clock."""

    @property
    def retries_conflicts(self) -> bool:
        """Whether a conflict may go away when the function runs again."""

    def reading(self, *, snapshot: bool) -> AbstractContextManager[Connection]:
        """A connection for reads; one transaction with a single view when `snapshot`, else autocommit."""

    def transact(self, work: Callable[[Connection], tuple[T, bool]]) -> T:
        """Run `work` in a transaction and return its value; committed when the second of its results says so.

        Raises: CommitUnknownError; whatever `work` raises, after a rollback; errors of SQLAlchemy.
        """

    def clock(self, connection: Connection) -> datetime:
        """The database's time at the start of the transaction, UTC."""

    def connections(self) -> tuple[int, int]:
        """How many are in use, and how many wait for use."""

    def close(self) -> None:
        """Release everything."""


def pooled(engine: Engine) -> tuple[int, int]:
    """How many connections of an engine are in use, and how many wait for use."""
    pool = cast("QueuePool", engine.pool)
    return pool.checkedout(), pool.checkedin()


def parse_url(url: str) -> URL:
    """The address, with the driver we use.

    Raises: AddressError, a ValueError, for an address that is neither SQLite nor PostgreSQL, or has unknown options.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their texts show parts of it, which may be of the password
        raise AddressError(
            "the database address is no URL; use sqlite:///path or postgresql://user:password@host:port/database, "
            "with %XX for what is no letter or digit in the password"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise AddressError("SQLite needs a file: sqlite:///path (four slashes for an absolute path)")
        return parsed.set(drivername="sqlite")
    if parsed.get_backend_name() in {"postgresql", "postgres"}:
        _require_options(parsed)
        return parsed.set(drivername="postgresql+psycopg")
    raise AddressError("databases of this kind are not known; use sqlite:///path or postgresql://user@host/name")


def _require_options(parsed: URL) -> None:
    for name in parsed.query:
        try:
            make_conninfo(**{name: ""})
        except ProgrammingError:
            raise AddressError(f"the database address has an option {name!r}, which PostgreSQL does not know") from None
