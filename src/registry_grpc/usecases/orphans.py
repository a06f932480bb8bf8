"""Things in the artifact store that no row accounts for: what a crash or a lost database left there.

One goes when it is older than the grace by the store's own clock, and was seen without a row twice, a day apart. A
row is written before its object, and a key is never used again, so what has no row after it was listed gets none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.garbage import NOTHING, Tally, may_be_ours
from registry_grpc.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.ports.artifacts import ArtifactStore, Listing, Stored
    from registry_grpc.ports.store import Reader, Store, Unit

APART = timedelta(hours=24)
"""Between the first time one is seen and its end."""
PAGE = 1000
"""Asked for; stores may give less at a time."""
PAGES = 100
"""At one run, so that walking a large store takes hours and costs little."""
FORGOTTEN = 10_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a run saw."""

    waiting: Tally = NOTHING
    gone: Tally = NOTHING
    more: bool = False

    def __add__(self, other: Swept) -> Swept:
        """Both together; `more` as the later says."""
        return Swept(self.waiting + other.waiting, self.gone + other.gone, other.more)


@dataclass(slots=True)
class _Walk:
    """Where a walk over one kind of thing stands; it outlives a run, not the process."""

    list: Callable[[str, int], Listing]
    after: str = ""
    done: bool = field(default=False, init=False)

    def begin(self) -> None:
        self.done = False

    def page(self) -> Listing:
        return self.list(self.after, PAGE)

    def visited(self, page: Listing) -> None:
        self.after, self.done = page.after, not page.after


@dataclass(slots=True)
class SweepOrphans:
    """Walks the store a part at a time. Two that do it at once do no harm: every step can be repeated.

    Concurrency: one call at a time.
    """

    store: Store
    artifacts: ArtifactStore
    grace: timedelta
    _walks: tuple[_Walk, ...] = field(init=False)
    _began: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """At the beginning."""
        self._walks = self._new_walks()

    def preview(self, end: float) -> Swept:
        """What a walk from the beginning finds, until `time.monotonic()` is `end`. Changes nothing."""
        return self._run(self._new_walks(), end, self._look)

    def __call__(self, end: float) -> Swept:
        """Go on with the walk, and delete what is due.

        Raises: STORAGE_UNAVAILABLE, DATABASE_UNAVAILABLE.
        """
        if self._began is None:
            self._began = self.store.now()
        swept = self._run(self._walks, end, self._sweep)
        if not swept.more:
            began, self._began = self._began, None
            self.store.write(lambda unit: unit.garbage.forget_unseen(began, FORGOTTEN))
        return swept

    def _new_walks(self) -> tuple[_Walk, ...]:
        return (_Walk(self.artifacts.list_objects), _Walk(self.artifacts.list_unfinished))

    def _run(self, walks: Sequence[_Walk], end: float, visit: Callable[[Sequence[Stored]], Swept]) -> Swept:
        total = Swept()
        if all(walk.done for walk in walks):
            for walk in walks:
                walk.begin()
        pages = 0
        for walk in walks:
            while not walk.done:
                if pages >= PAGES or time.monotonic() >= end:
                    return total + Swept(more=True)
                page = walk.page()
                total += visit(page.found)
                # Not before: a page that a fault cut short is seen again by the next run.
                walk.visited(page)
                pages += 1
        return total

    def _unknown(self, reader: Reader, found: Sequence[Stored]) -> list[Stored]:
        # What an interrupted `put` left has no key of its own.
        ours = [each for each in found if may_be_ours(each.key) or each.store_upload]
        known = reader.garbage.known({each.key for each in ours}) if ours else frozenset()
        return [each for each in ours if each.key not in known]

    def _look(self, found: Sequence[Stored]) -> Swept:
        def work(reader: Reader) -> Swept:
            unknown = self._unknown(reader, found)
            due = self._due(unknown, reader.garbage.seen(unknown), reader.now)
            return Swept(_tally(unknown) - _tally(due), _tally(due))

        return self.store.read(work)

    def _sweep(self, found: Sequence[Stored]) -> Swept:
        def work(unit: Unit) -> tuple[list[Stored], list[Stored]]:
            unknown = self._unknown(unit, found)
            unit.garbage.note(unknown)
            return unknown, self._due(unknown, unit.garbage.seen(unknown), unit.now)

        if not found:
            return Swept()
        unknown, due = self.store.write(work).get()
        for each in due:
            if each.store_upload:
                self.artifacts.abort(each.key, each.store_upload)
            else:
                self.artifacts.delete(each.key)
            failpoint("garbage.orphan.deleted")
        if due:
            self.store.write(lambda unit: unit.garbage.forget(due))
        return Swept(_tally(unknown) - _tally(due), _tally(due))

    def _due(self, unknown: Sequence[Stored], seen: Mapping[Stored, datetime], now: datetime) -> list[Stored]:
        return [each for each in unknown if each.age >= self.grace and each in seen and seen[each] <= now - APART]


def _tally(found: Sequence[Stored]) -> Tally:
    return Tally(len(found), sum(each.size_bytes for each in found))
