"""SQLite: one writer thread, query-only readers, and a lock that keeps other processes out.

Only the writer checkpoints: before 3.51.3, SQLite can corrupt a database when two connections do so at one moment.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import create_engine, event, null

from registry_grpc.storage.sql.database import pooled
from registry_grpc.storage.sql.faults import StoreInUseError
from registry_grpc.storage.sql.sqlite_writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")

_BUSY_TIMEOUT_MS = 2000
_POOL_WAIT_S = 2
_EVERY = (f"busy_timeout={_BUSY_TIMEOUT_MS}", "mmap_size=0", "foreign_keys=ON")
WRITER = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=1000")
READER = ("query_only=ON", "wal_autocheckpoint=0")


class SqliteDatabase:
    """Implements `Database` over one file, which no other process may have open."""

    clock_column = null()
    retries_conflicts = False  # there is one writer: it would meet the same rows again

    def __init__(self, url: URL, *, pool_size: int) -> None:
        """Opens and locks the file, and makes it (0600, in a directory 0700) when it is not there.

        Raises: StoreInUseError when another process, or another store of this one, has it.
        """
        path = Path(url.database or "")
        self._lock = lock_file(path)
        try:
            self._writing = engine_for(url, WRITER, pool_size=1)
            self._reading = engine_for(url, READER, pool_size=pool_size)
            self._writer = Writer(self._writing)
        except BaseException:
            os.close(self._lock)
            raise

    @contextmanager
    def reading(self, *, snapshot: bool) -> Iterator[Connection]:
        """See `Database`."""
        with self._reading.connect() as connection:
            if not snapshot:
                yield connection
                return
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def transact(self, work: Callable[[Connection], tuple[T, bool]]) -> T:
        """See `Database`."""
        return self._writer.run(work)

    def clock(self, connection: Connection) -> datetime:
        """The process's clock: the one process is all there is."""
        del connection
        return datetime.now(UTC)

    def connections(self) -> tuple[int, int]:
        """See `Database`. The writer keeps its own."""
        (reading, idle), (writing, unused) = pooled(self._reading), pooled(self._writing)
        return reading + writing, idle + unused

    def close(self) -> None:
        """See `Database`. The readers go first, so that the last connection, which checkpoints, is the writer's."""
        self._reading.dispose()
        self._writer.close()
        self._writing.dispose()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def lock_file(path: Path) -> int:
    """The descriptor of the lock beside the database; closing it gives the lock back.

    Raises: StoreInUseError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        msg = f"{path} is open in another process; stop it, or use PostgreSQL to run several"
        raise StoreInUseError(msg) from error
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return descriptor


def engine_for(url: URL, pragmas: Sequence[str], *, pool_size: int) -> Engine:
    """An engine whose connections begin transactions only when told to."""
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_S,
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in (*_EVERY, *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
