"""The change feed of one replica: polls the event log and keeps the projection current.

Polling is the truth; own commits and hints only make it earlier. Revisions are dense and in commit order, so what was
read up to a revision is complete up to it. When what was read is in the log no more (the database was put back, or a
standby without the last commits took over), nothing that is remembered can be relied upon: the feed ends, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import threading
import time
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.resumption import fingerprint_of
from registry_grpc.failpoints import failpoint
from registry_grpc.watch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import Protocol, TypeVar

    from registry_grpc.domain.events import Event
    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.ports.store import Reader, Store
    from registry_grpc.watch.projection import Projection

    T = TypeVar("T")

    class Follower(Protocol):
        """Wants the news too. May be called from any thread, in no particular order; must not block or raise."""

        def apply(self, events: Iterable[Event]) -> None:
            """Take news. Repeating them changes nothing."""

    class FeedObserver(Protocol):
        """Told how the feed goes."""

        def advanced(self, revision: int, lag_s: float) -> None:
            """The feed is complete up to `revision`; it last heard from the database `lag_s` seconds ago."""

        def failed(self, error: Exception, lag_s: float) -> None:
            """A poll failed; the feed tries again."""


PAGE_EVENTS = 1000
PAGE_POINTERS = 5000


class ChangeFeed:
    """Reads the event log in order. `start` once, on the event loop; `committed` from any thread."""

    def __init__(
        self,
        store: Store,
        projection: Projection[Any],
        run: Callable[..., Awaitable[Any]],
        observer: FeedObserver,
        *,
        poll_s: float = 0.2,
        max_staleness_s: float = 2.0,
        followers: Sequence[Follower] = (),
    ) -> None:
        """`run(fn, *args)` runs a blocking function in the control pool. `followers` are told after the projection."""
        self._followers = followers
        self._store = store
        self._projection = projection
        self._run = run
        self._observer = observer
        self._poll_s = poll_s
        self._max_staleness_s = max_staleness_s
        self._lock = threading.Lock()
        self._revision = 0
        self._ahead: list[int] = []
        """Own revisions above a gap that another replica's events still have to fill."""
        self._heard = float("-inf")
        self._newest: Sequence[Event] = ()
        """All events of the newest revision that was taken."""
        self._lost: asyncio.Future[RegistryError] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._watchers = Turns()

    @property
    def revision(self) -> int:
        """Everything up to this revision is in the projection."""
        return self._revision

    @property
    def lag_s(self) -> float:
        """Seconds since the database last answered."""
        return time.monotonic() - self._heard

    def is_fresh(self) -> bool:
        """Whether the projection is at most `max_staleness_s` behind the database."""
        return self.fresh_revision() is not None

    def fresh_revision(self) -> int | None:
        """`revision` while `is_fresh`, else None. Calls no other: the shortest way of a call goes through it."""
        return self._revision if time.monotonic() - self._heard <= self._max_staleness_s else None

    async def lost(self) -> RegistryError:
        """Returns once what was read is not in the log any more, with what to say of it. For after `start`."""
        assert self._lost is not None  # noqa: S101 -- for the type checker
        return await asyncio.shield(self._lost)

    async def start(self) -> None:
        """Load the snapshot and begin to follow.

        Raises: DATABASE_UNAVAILABLE.
        """
        self._loop = asyncio.get_running_loop()
        self._lost = self._loop.create_future()
        began = time.monotonic()
        revision, pointers, newest = await self._run(self._store.read, self._snapshot, snapshot=True)
        self._projection.load(pointers, revision)
        with self._lock:
            self._newest = newest
            self._reach(revision)
        self._heard = began
        self._task = asyncio.create_task(self._follow(), name="change-feed")

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def committed(self, revision: int, events: tuple[Event, ...]) -> None:
        """Take this process's own commit at once: whoever reads here next sees it."""
        self._apply(events)
        with self._lock:
            heapq.heappush(self._ahead, revision)
            self._reach(self._revision)
            gap = bool(self._ahead)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._signal, gap)

    async def wait_for(self, revision: int, timeout_s: float) -> bool:
        """Whether the projection reached `revision` within the time; polls at once."""
        deadline = time.monotonic() + timeout_s
        while self._revision < revision:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._wake.set()
            moved = self._moved
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await moved.wait()
        return True

    async def wait_for_news(self, timeout_s: float) -> None:
        """Return after the next change or `wake_watchers`, or the time: in turn, for those of whom there are many."""
        await self._watchers.wait(timeout_s)

    def wake_watchers(self) -> None:
        """Have all who wait for news look around. On the event loop."""
        self._watchers.wake()

    @staticmethod
    def _snapshot(reader: Reader) -> tuple[int, list[Pointer], Sequence[Event]]:
        revision = reader.feed.head()
        newest = reader.feed.at(revision)
        pointers: list[Pointer] = []
        after = ("", "", "")
        while True:
            page = reader.pointers.snapshot(after=after, limit=PAGE_POINTERS)
            pointers.extend(page)
            if len(page) < PAGE_POINTERS:
                return revision, pointers, newest
            last = page[-1]
            after = (last.model_uid, str(last.kind), last.id)

    async def _follow(self) -> None:
        while True:
            try:
                more = await self._poll()
            except _HistoryLostError as error:
                self._end(error)
                return
            except Exception as error:  # noqa: BLE001 - the feed must outlive any fault; it is reported
                self._observer.failed(error, self.lag_s)
                more = False
            if not more:
                # Not wait_for: in Python 3.11 it swallows a cancellation that meets the wake-up, and `stop` would hang.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._wake.wait()
            self._wake.clear()

    async def _poll(self) -> bool:
        """Read once; whether there is more to read at once."""
        began = time.monotonic()
        with self._lock:
            before, newest = self._revision, self._newest
        head, events = await self._run(self._store.read, self._page(before, newest))
        self._apply(events)
        with self._lock:
            # A page holds whole revisions, so a cut one may have fewer events than asked for: it says nothing of what
            # comes after its last revision. Only an empty page says that there is nothing up to the head.
            reached: int = events[-1].revision if events else head
            self._reach(reached)
        self._heard = began
        if self._revision > before:
            # Not at each poll: a thousand watches wait for this.
            self._signal(gap=False)
        self._observer.advanced(self._revision, time.monotonic() - began)
        return bool(reached < head)

    @staticmethod
    def _page(after: int, newest: Sequence[Event]) -> Callable[[Reader], tuple[int, list[Event]]]:
        def work(reader: Reader) -> tuple[int, list[Event]]:
            failpoint("feed.poll.before")
            head = reader.feed.head()
            if head < after or (newest and not _is_there(reader, head, newest)):
                raise _HistoryLostError(head, max(after, newest[-1].revision if newest else 0))
            return head, list(reader.feed.after(after, PAGE_EVENTS)) if head > after else []

        return work

    def _end(self, error: _HistoryLostError) -> None:
        """From now on nothing here is fresh: whoever asks is answered by the database."""
        self._heard = float("-inf")
        assert self._lost is not None  # noqa: S101 -- for the type checker
        self._lost.set_result(RegistryError(Reason.HISTORY_CHANGED, str(error)))

    def _apply(self, events: Sequence[Event]) -> None:
        self._projection.apply(events)
        for follower in self._followers:
            follower.apply(events)
        if events:
            last = events[-1].revision
            with self._lock:
                if not self._newest or last > self._newest[-1].revision:
                    self._newest = [event for event in events if event.revision == last]

    def _reach(self, revision: int) -> None:
        """Move up to `revision` and through own commits that follow it without a gap. Called with the lock held."""
        self._revision = max(self._revision, revision)
        while self._ahead and self._ahead[0] <= self._revision + 1:
            self._revision = max(self._revision, heapq.heappop(self._ahead))

    def _signal(self, gap: bool) -> None:  # noqa: FBT001 - handed to call_soon_threadsafe
        if gap:
            self._wake.set()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._watchers.wake()


class _HistoryLostError(Exception):
    def __init__(self, head: int, read: int) -> None:
        super().__init__(
            f"the database is at revision {head} and does not hold what this server had read, up to {read}: it was put"
            " back to an older state, or a standby without the last commits took over; this server ends, so that it"
            " starts anew from what is there"
        )


def _is_there(reader: Reader, head: int, newest: Sequence[Event]) -> bool:
    """Whether the log still has this revision. What was compacted since counts as there."""
    revision = newest[-1].revision
    if head < revision:
        return False
    found = reader.feed.at(revision)
    return not found or fingerprint_of(found) == fingerprint_of(newest)
