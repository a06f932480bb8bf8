"""The metadata store: two doors, `read` and `write`. Knows transactions and retries, no tables."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from registry_grpc.domain.calls import Committed
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.failpoints import failpoint
from registry_grpc.storage.sql import journal, leases, schema
from registry_grpc.storage.sql.bootstrap import ensure_registry
from registry_grpc.storage.sql.database import parse_url
from registry_grpc.storage.sql.faults import CommitUnknownError, Fault, SchemaError, error_for, fault_of, unavailable
from registry_grpc.storage.sql.postgresql import PostgresDatabase
from registry_grpc.storage.sql.session import Session
from registry_grpc.storage.sql.sqlite import SqliteDatabase
from registry_grpc.storage.sql.unit import SqlReader, SqlUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.events import Occurrence
    from registry_grpc.ports.store import CommitObserver, Reader, Unit, WorkObserver
    from registry_grpc.storage.sql.database import Database

T = TypeVar("T")

ATTEMPTS = 5
_PAUSE_S = 0.01
_PATIENCE_S = {Fault.CONFLICT: 5.0, Fault.LOST: 2.0}
"""Faults that may go away on another attempt, and for how long: waiting must not add up."""
_NO_TWIN = {Reason.DATABASE_UNAVAILABLE, Reason.REQUEST_ID_REUSED}
_EXPIRE_AT_ONCE = 1000


class SqlStore:
    """Implements `ports.store.Store` over SQLite or PostgreSQL."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 16,
        auto_upgrade: bool = False,
        observer: CommitObserver | None = None,
        clock_offset: timedelta = timedelta(0),
    ) -> None:
        """Open the database at `url` (`sqlite:///path`, `postgresql://…`) and set up an empty registry.

        `pool_size` should be at least the number of threads that call. `observer` and `clock_offset` may be set later.

        Raises: SchemaError when the schema is another one than this program's (with `auto_upgrade`: a newer one);
        StoreInUseError when another process has the SQLite file; DATABASE_UNAVAILABLE; ValueError for a bad address.
        """
        self.observer = observer
        self.work_observer: WorkObserver | None = None
        self.clock_offset = clock_offset
        address = parse_url(url)
        if auto_upgrade:
            schema.upgrade(url)
        kind = SqliteDatabase if address.drivername == "sqlite" else PostgresDatabase
        self._database: Database = kind(address, pool_size=pool_size)
        self._statements = journal.Statements.with_clock(self._database.clock_column)
        try:
            self._trying(self._require_schema)
            self._registry_uid = ensure_registry(self)
        except BaseException:
            self._database.close()
            raise

    @property
    def registry_uid(self) -> str:
        """See the port."""
        return self._registry_uid

    def now(self) -> datetime:
        """See the port."""
        return self.read(lambda reader: reader.now)

    def read(self, work: Callable[[Reader], T], *, snapshot: bool = False) -> T:
        """See the port."""

        def attempt() -> T:
            with self._database.reading(snapshot=snapshot) as connection:
                return work(SqlReader(self._session(connection)))

        return self._trying(attempt)

    def write(self, work: Callable[[Unit], T], call: Call[T] | None = None) -> Committed[T]:
        """See the port."""
        try:
            committed = self._trying(
                lambda: self._database.transact(lambda connection: self._attempt(connection, work, call)), "write"
            )
        except CommitUnknownError as error:
            earlier = self._recall(call)
            if earlier is None:
                raise unavailable() from error
            return earlier
        except RegistryError as error:
            # A concurrent twin may have made the change first, and this one then met its result.
            earlier = None if error.reason in _NO_TWIN else self._recall(call)
            if earlier is None:
                raise
            return earlier
        if self.observer is not None and committed.revision and committed.replay is None:
            self.observer.committed(committed.revision, committed.events)
        return committed

    def record_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        """See the port."""
        self._in_transaction(lambda session: journal.write_occurrences(session, occurrences))

    def acquire_lease(self, name: str, holder: str, ttl: timedelta) -> int | None:
        """See the port."""
        return self._in_transaction(lambda session: leases.acquire(session, name, holder, ttl))

    def release_lease(self, name: str, holder: str) -> None:
        """See the port."""
        self._in_transaction(lambda session: leases.release(session, name, holder))

    def expire_idempotency(self) -> int:
        """Drop answers kept longer than promised, a thousand at most; returns how many."""
        return self._in_transaction(lambda session: journal.forget_expired(session, _EXPIRE_AT_ONCE))

    def ping(self) -> None:
        """See the port."""
        try:
            self._trying(self._require_schema)
        except SchemaError as error:
            raise unavailable() from error

    def close(self) -> None:
        """See the port."""
        self._database.close()

    def _require_schema(self) -> None:
        with self._database.reading(snapshot=False) as connection:
            schema.require_head(connection)

    def _session(self, connection: Connection, **kind: bool) -> Session:
        return Session(connection, self._database.clock, self.clock_offset, **kind)

    def _in_transaction(self, work: Callable[[Session], T]) -> T:
        """For the store's own bookkeeping, which takes neither revision nor audit entry."""

        def attempt(connection: Connection) -> tuple[T, bool]:
            session = self._session(connection, writable=True)
            value = work(session)
            session.flush()
            return value, True

        return self._trying(lambda: self._database.transact(attempt), "write")

    def _attempt(
        self, connection: Connection, work: Callable[[Unit], T], call: Call[T] | None
    ) -> tuple[Committed[T], bool]:
        validate_only = call is not None and call.validate_only
        session = self._session(connection, writable=True, validate_only=validate_only)
        keeps_answer = call is not None and bool(call.request_id) and not validate_only
        if call is not None and keeps_answer:
            earlier = journal.recall(session, self._statements, call)
            if earlier is not None:
                return earlier, False
        failpoint("write.begun")
        unit = SqlUnit(session, call, self._statements)
        value = work(unit)
        failpoint("write.body.after")
        if validate_only:
            session.flush()
            return Committed(value=value), False
        unit.finish()
        failpoint("write.event.after")
        if call is not None and keeps_answer:
            journal.remember(session, call, call.encode(value), unit.revision)
        session.flush()
        failpoint("write.answer.after")
        return Committed(value=value, revision=unit.revision, events=unit.events), True

    def _recall(self, call: Call[T] | None) -> Committed[T] | None:
        """The answer a concurrent twin of the call, or an attempt of unknown outcome, may have left."""
        if call is None or not call.request_id or call.validate_only:
            return None

        def attempt() -> Committed[T] | None:
            with self._database.reading(snapshot=False) as connection:
                return journal.recall(self._session(connection), self._statements, call)

        return self._trying(attempt)

    def _trying(self, attempt: Callable[[], T], operation: str = "read") -> T:
        """As `_retrying`, and tells the observer what it took."""
        if self.work_observer is None:
            return self._retrying(attempt)
        began = time.perf_counter()
        try:
            return self._retrying(attempt)
        finally:
            self.work_observer.worked(operation, time.perf_counter() - began, *self._database.connections())

    def _retrying(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, run again after a conflict or on a fresh connection.

        Raises: what `attempt` raises; errors of the engine as errors of the registry.
        """
        start = time.monotonic()
        for number in range(1, ATTEMPTS + 1):
            try:
                return attempt()
            except Exception as error:
                fault = fault_of(error)
                if fault is None:
                    raise
                hopeless = fault is Fault.CONFLICT and not self._database.retries_conflicts
                late = time.monotonic() - start > _PATIENCE_S.get(fault, 0.0)
                if hopeless or late or number == ATTEMPTS:
                    raise error_for(fault) from error
            time.sleep(_PAUSE_S * 2**number * random.uniform(0.5, 1))  # noqa: S311 -- jitter, no secret
        raise AssertionError
