"""The newest events in memory, in order: every watch that keeps up is fed from here and costs the database nothing.

Who fell behind reads the log itself. So nothing is ever dropped, and nothing queues up for a slow reader.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.resources import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.events import Event

KEPT_EVENTS = 10_000


class Revision(NamedTuple):
    """What was committed as one revision."""

    number: int
    events: tuple[Event, ...]
    """By index; never empty."""


class Recent:
    """A follower of the change feed. Concurrency: any thread."""

    def __init__(self, kept_events: int = KEPT_EVENTS) -> None:
        """Keeps about that many events."""
        self._kept = kept_events
        self._lock = threading.Lock()
        self._revisions: OrderedDict[int, Revision] = OrderedDict()
        self._count = 0
        self._floor = 0
        """At and below this nothing is kept any more."""

    def apply(self, events: Iterable[Event]) -> None:
        """Take whole revisions, in any order; repeating them changes nothing."""
        with self._lock:
            for number, group in groupby(events, key=attrgetter("revision")):
                if number <= self._floor or number in self._revisions:
                    continue
                found = Revision(number, tuple(map(light, group)))
                self._revisions[number] = found
                self._count += len(found.events)
            while self._count > self._kept:
                # The oldest to come, which is all but the oldest: revisions come nearly in order.
                number, gone = self._revisions.popitem(last=False)
                self._count -= len(gone.events)
                self._floor = max(self._floor, number)

    def after(self, revision: int, upto: int, limit: int) -> Sequence[Revision] | None:
        """Revisions above `revision`, at most `limit` of them and none above `upto`; None when one is not here."""
        found: list[Revision] = []
        with self._lock:
            for number in range(revision + 1, min(upto, revision + limit) + 1):
                known = self._revisions.get(number)
                if known is None:
                    # Perhaps it is on its way from another replica; what comes before it can be had.
                    return found or None
                found.append(known)
        return found


def light(event: Event) -> Event:
    """The event without texts that only Get hands out: a card may be half a MiB."""
    after = event.after
    if isinstance(after, Version) and (after.model_card or after.card or after.description):
        return replace(event, after=replace(after, model_card="", card=None, description=""))
    return event


def by_revision(events: Iterable[Event]) -> list[Revision]:
    """Whole revisions of events in order."""
    return [Revision(number, tuple(map(light, group))) for number, group in groupby(events, key=attrgetter("revision"))]
