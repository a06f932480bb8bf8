"""Collecting bytes that no file needs: mark, grace, check again under lock, delete, tombstone.

Every step can be repeated, and run by two leaders at once: what is LIVE becomes CONDEMNED, and CONDEMNED becomes
DELETING, under the lock of its row; a row that is DELETING never comes back; a key is never used again. So no step
needs to know whose lease it is. A crash between two steps is ended by the next run.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.artifacts import BlobState
from registry_grpc.domain.calls import SYSTEM
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Occurrence
from registry_grpc.domain.garbage import NOTHING, Collected, Tally
from registry_grpc.domain.tenancy import Usage
from registry_grpc.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.domain.calls import Principal
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Reader, Store, Unit
    from registry_grpc.usecases.orphans import SweepOrphans
    from registry_grpc.usecases.store_mark import StoreMark

PAGE = 1000
"""Blobs looked at in one statement."""
BATCH = 50
"""Objects decided on in one transaction."""
MOST = 1000
"""Objects deleted in one run."""
BUDGET_S = 9.0


class GarbageObserver(Protocol):
    """Told what was removed, and whether anything may be. From any thread."""

    def collected(self, kind: str, tally: Tally) -> None:
        """So much of that kind went: `blob` or `orphan`."""

    def frozen(self, *, is_frozen: bool) -> None:
        """Whether the store is marked as that of another database."""


@dataclass(slots=True)
class CollectGarbage:
    """One bounded run at each call; the next one goes on where it ended."""

    store: Store
    artifacts: ArtifactStore
    mark: StoreMark
    orphans: SweepOrphans
    observer: GarbageObserver
    grace: timedelta
    """From the moment nothing needs bytes any more: longer than any upload may rest, so that a backup finds them."""
    budget_s: float = BUDGET_S
    _after: str = field(default="", init=False)
    """Where looking for what no file needs goes on."""
    _one: threading.Lock = field(default_factory=threading.Lock, init=False)

    def preview(self) -> Collected:
        """What would go. Changes nothing.

        Raises: GARBAGE_FROZEN, STORAGE_UNAVAILABLE, DATABASE_UNAVAILABLE.
        """
        self.mark.require(leave=False)
        end = time.monotonic() + self.budget_s
        waiting, due = self.store.read(lambda reader: reader.garbage.totals(reader.now - self.grace))
        idle, after = Tally(), ""
        while True:
            found, after = self.store.read(lambda reader, after=after: reader.garbage.idle(after, PAGE))  # type: ignore[misc]
            idle += Tally.of(found)
            if not after or time.monotonic() >= end:
                break
        swept = self.orphans.preview(end)
        return Collected(
            waiting=waiting + idle,
            collected=due,
            orphans_waiting=swept.waiting,
            orphans_collected=swept.gone,
            more=bool(after) or swept.more,
        )

    def __call__(self, by: Principal = SYSTEM, *, adopt_store: bool = False) -> Collected:
        """Remove what is past its grace, for `budget_s` or `MOST` objects.

        Raises: GARBAGE_FROZEN, STORAGE_UNAVAILABLE, DATABASE_UNAVAILABLE.
        """
        with self._one:
            self._require_mark(by, adopt_store=adopt_store)
            began = time.monotonic()
            # A third for each, so that none keeps the others from their turn.
            marked_all = self._mark(began + self.budget_s / 3)
            collected, more = self._collect(by, began + self.budget_s * 2 / 3)
            swept = self.orphans(began + self.budget_s)
            self._tell(by, "orphan", swept.gone)
            waiting, _ = self.store.read(lambda reader: reader.garbage.totals(reader.now - self.grace))
            return Collected(
                waiting=waiting,
                collected=collected,
                orphans_waiting=swept.waiting,
                orphans_collected=swept.gone,
                more=more or swept.more or not marked_all,
            )

    def _require_mark(self, by: Principal, *, adopt_store: bool) -> None:
        try:
            if adopt_store:
                self.mark.adopt()
                self._note(by, "ADOPTED the artifact store")
            else:
                self.mark.require(leave=True)
        except RegistryError as error:
            if error.reason is Reason.GARBAGE_FROZEN:
                self.observer.frozen(is_frozen=True)
            raise
        self.observer.frozen(is_frozen=False)

    def _mark(self, end: float) -> bool:
        """Condemn what no file needs; whether all of it was looked at."""
        first = True
        while (first or self._after) and time.monotonic() < end:
            first = False
            found, after = self.store.read(lambda reader: reader.garbage.idle(self._after, PAGE))
            by_project = sorted(found, key=lambda blob: (blob.project, blob.uid))
            for project, blobs in groupby(by_project, key=lambda blob: blob.project):
                self._condemn(project, [blob.uid for blob in blobs])
            self._after = after
        return not self._after

    def _condemn(self, project: str, blob_uids: Sequence[str]) -> None:
        def work(unit: Unit) -> None:
            # Whoever gives one of them to a file has its row locked: it is seen here, or gets it back from CONDEMNED.
            unit.blobs.lock_all(blob_uids)
            freed = unit.blobs.condemn(blob_uids)
            if freed:
                unit.usage.change(project, Usage(stored_bytes=-freed))

        self.store.write(work)
        failpoint("garbage.marked")

    def _collect(self, by: Principal, end: float) -> tuple[Tally, bool]:
        total, after, failure = NOTHING, None, None
        while total.count < MOST and time.monotonic() < end:
            batch = self.store.read(lambda reader, after=after: self._due(reader, after))  # type: ignore[misc]
            if not batch:
                break
            last = batch[-1]
            assert last.condemned_at is not None  # noqa: S101 -- for the type checker; none is due without
            after = (last.condemned_at, last.uid)
            doomed, buried = self.store.write(lambda unit, batch=batch: self._retire(unit, batch)).get()  # type: ignore[misc]
            failpoint("garbage.retired")
            deleted, failure = self._delete(doomed)
            self.store.write(lambda unit, deleted=deleted: unit.garbage.bury([blob.uid for blob in deleted]))  # type: ignore[misc]
            failpoint("garbage.buried")
            total += Tally.of(deleted) + buried
            if failure is not None:
                break
        self._tell(by, "blob", total)
        if failure is not None:
            raise failure
        return total, bool(self.store.read(lambda reader: self._due(reader, None, 1)))

    def _due(self, reader: Reader, after: tuple[datetime, str] | None, limit: int = BATCH) -> Sequence[Blob]:
        return reader.garbage.due(reader.now - self.grace, after, limit)

    def _retire(self, unit: Unit, batch: Sequence[Blob]) -> tuple[Sequence[Blob], Tally]:
        """Decide, with every row of their objects locked, which objects go; and what went as its object stays."""
        rows = unit.garbage.lock_keys({blob.key for blob in batch})
        in_use = unit.garbage.in_use([blob.uid for blob in rows])
        before = unit.now - self.grace
        doomed: list[Blob] = []
        shared: list[Blob] = []
        by_key = sorted(rows, key=lambda blob: blob.key)
        for _, group in groupby(by_key, key=lambda blob: blob.key):
            blobs = [blob for blob in group if blob.state is not BlobState.GONE]
            over = [blob for blob in blobs if _is_over(blob, before, unit.now, in_use)]
            # Copies in other projects may need the object still: then only the row goes.
            (doomed if len(over) == len(blobs) else shared).extend(over)
        unit.garbage.retire([blob.uid for blob in doomed + shared])
        unit.garbage.bury([blob.uid for blob in shared])
        return doomed, Tally.of(shared)

    def _delete(self, doomed: Sequence[Blob]) -> tuple[list[Blob], RegistryError | None]:
        """What is deleted, and why not the rest."""
        deleted: list[Blob] = []
        for key, blobs in groupby(sorted(doomed, key=lambda blob: blob.key), key=lambda blob: blob.key):
            try:
                self.artifacts.delete(key)
            except RegistryError as error:
                return deleted, error
            failpoint("garbage.deleted")
            deleted += blobs
        return deleted, None

    def _tell(self, by: Principal, kind: str, tally: Tally) -> None:
        if tally.count:
            self.observer.collected(kind, tally)
            self._note(by, f"COLLECTED {tally.count} {kind}s, {tally.size_bytes} bytes")

    def _note(self, by: Principal, outcome: str) -> None:
        """An audit entry; what is collected is no revision, since no resource changes."""
        method = "system.CollectGarbage"
        entry = Occurrence(
            actor=by.name,
            method=method,
            resource="garbage",
            request_id="",
            outcome=outcome,
            authentication=by.method,
        )
        self.store.record_occurrences([entry])


def _is_over(blob: Blob, before: datetime, now: datetime, in_use: Collection[str]) -> bool:
    is_leased = blob.lease_until is not None and blob.lease_until > now
    is_unneeded = blob.state in {BlobState.CONDEMNED, BlobState.DELETING} and blob.uid not in in_use
    is_old = blob.condemned_at is not None and blob.condemned_at <= before
    return is_unneeded and is_old and not is_leased
