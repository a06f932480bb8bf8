"""The one thread that writes to SQLite, with group commit.

Raw writers that compete for the file starve each other; a queue is fair, and functions that wait together share one
transaction and one fsync. Each runs in a savepoint, so that one which fails takes back only its own rows. Nobody
gets an answer before the common COMMIT: even a refusal may rest on what another function of the group wrote.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from registry_grpc.failpoints import failpoint
from registry_grpc.storage.sql.faults import TransactionGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

GROUP = 64


class Writer:
    """Runs functions one after the other, in the order they came."""

    def __init__(self, engine: Engine) -> None:
        """`engine` has one connection, which this object keeps."""
        self._engine = engine
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._connection: Connection | None = engine.connect()
        self._thread = threading.Thread(target=self._loop, name="sqlite-writer", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Connection], tuple[T, bool]]) -> T:
        """What `work` returned, after the COMMIT."""
        if threading.current_thread() is self._thread:
            msg = "a write inside a write would wait for itself"
            raise RuntimeError(msg)
        job = _Job(work)
        with self._closing:
            if self._closed:
                msg = "the store is closed"
                raise RuntimeError(msg)
            self._queue.put(job)
        value: T = job.future.result()
        return value

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._drop_connection()

    def _loop(self) -> None:
        while (job := self._queue.get()) is not None:
            group: list[_Job] = []
            try:
                self._commit_group(job, group)
            except BaseException as error:  # noqa: BLE001 -- whatever it was, the callers are waiting for it
                self._drop_connection()
                for each in group:
                    each.future.set_exception(error)
            else:
                for each in group:
                    each.answer()

    def _commit_group(self, first: _Job, group: list[_Job]) -> None:
        group.append(first)
        if self._connection is None:
            self._connection = self._engine.connect()
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        first.run(self._connection)
        for job in self._waiting(GROUP - 1):
            group.append(job)
            job.run(self._connection)
        failpoint("write.commit.before")
        self._connection.exec_driver_sql("COMMIT")
        failpoint("write.commit.after")

    def _waiting(self, most: int) -> Iterator[_Job]:
        for _ in range(most):
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return
            if job is None:
                self._queue.put(None)  # for the loop to find
                return
            yield job

    def _drop_connection(self) -> None:
        """Roll back by closing: after a full disk nothing else is certain to work."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


class _Job:
    """A function, the caller's context for it, and its answer."""

    def __init__(self, work: Callable[[Connection], tuple[Any, bool]]) -> None:
        self.future: Future[Any] = Future()
        self._work = work
        self._context = contextvars.copy_context()
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Run inside a savepoint. Raises only when the transaction itself is beyond repair."""
        connection.exec_driver_sql("SAVEPOINT job")
        keep = False
        try:
            self._value, keep = self._context.run(self._work, connection)
        except BaseException as error:  # noqa: BLE001 -- it belongs to the caller, not to this thread
            self._error = error
        try:
            if not keep:
                connection.exec_driver_sql("ROLLBACK TO job")
            connection.exec_driver_sql("RELEASE job")
        except DBAPIError as error:
            # SQLite itself took back the whole transaction, as when the disk is full.
            raise TransactionGoneError from (self._error or error)

    def answer(self) -> None:
        """Let the caller go on."""
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._value)
