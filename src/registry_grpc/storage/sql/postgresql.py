"""PostgreSQL: a pool of connections that notice a dead server within about two seconds."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import create_engine, event, func, select
from sqlalchemy.exc import DBAPIError

from registry_grpc.failpoints import failpoint
from registry_grpc.storage.sql.answering import AnsweringConnection
from registry_grpc.storage.sql.database import pooled
from registry_grpc.storage.sql.faults import CommitUnknownError, Fault, fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")

SESSION_LIMITS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "5s"}
_POOL_WAIT_S = 2
_NETWORK = {
    "connect_timeout": 2,
    # A peer that is gone without a word: unanswered data, or a probe on an idle connection, ends it after 2 s.
    "tcp_user_timeout": 2000,
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
_NOW = select(func.clock_timestamp())


class PostgresDatabase:
    """Implements `Database` at READ COMMITTED. A pool, once it met a dead connection, replaces all older ones."""

    clock_column = func.clock_timestamp()
    retries_conflicts = True

    def __init__(self, url: URL, *, pool_size: int) -> None:
        """Connects to nothing yet. `pool_size` should be at least the number of threads that call."""
        # Most calls read one thing: a connection is made for that, and changed for the others while they have it.
        self._engine = engine_for(url, pool_size=pool_size, session_limits=SESSION_LIMITS, isolation_level="AUTOCOMMIT")
        event.listen(self._engine, "do_connect", _connect)
        self._changing = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def reading(self, *, snapshot: bool) -> Iterator[Connection]:
        """See `Database`."""
        engine = self._snapshot if snapshot else self._engine
        with engine.connect() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], tuple[T, bool]]) -> T:
        """See `Database`."""
        with self._changing.connect() as connection:
            try:
                value, keep = work(connection)
            except DBAPIError as error:
                if isinstance(error.orig, ReadOnlySqlTransaction):
                    connection.invalidate()  # it leads to a standby since a fail-over: the next one may not
                raise
            if keep:
                _commit(connection)
        return value

    def clock(self, connection: Connection) -> datetime:
        """See `Database`."""
        now: datetime = connection.execute(_NOW).scalar_one()
        return now.astimezone(UTC)

    def connections(self) -> tuple[int, int]:
        """See `Database`."""
        return pooled(self._engine)

    def close(self) -> None:
        """See `Database`."""
        self._engine.dispose()


def engine_for(
    url: URL,
    *,
    pool_size: int,
    session_limits: dict[str, str],
    isolation_level: Literal["AUTOCOMMIT", "READ COMMITTED"] = "READ COMMITTED",
) -> Engine:
    """An engine with our network and session limits; options in the address win over them."""
    options = " ".join(f"-c {name}={value}" for name, value in session_limits.items())
    given = url.query.get("options", "")
    arguments = {name: value for name, value in _NETWORK.items() if name not in url.query}
    return create_engine(
        url.difference_update_query(["options"]),
        connect_args={
            "options": f"{options} {given}".strip(),
            "application_name": "registry-grpc",
            **arguments,
        },
        isolation_level=isolation_level,
        skip_autocommit_rollback=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_S,
        pool_use_lifo=True,
    )


def _connect(_dialect: object, _record: object, given: list[Any], named: dict[str, Any]) -> AnsweringConnection:
    """Only for the store: a migration may rightly take minutes."""
    return AnsweringConnection.connect(*given, **named)


def _commit(connection: Connection) -> None:
    failpoint("write.commit.before")
    try:
        connection.commit()
    except DBAPIError as error:
        if fault_of(error) is Fault.LOST:
            raise CommitUnknownError from error
        raise
    failpoint("write.commit.after")
