"""What concurrent clients did and were told, and whether the event log can explain it.

Every write names its revision and every event its request_id, so no search is needed (as porcupine does one): the log
is the only order there can be, and each operation is checked against it once. The whole is O(n log n). Modelled on
etcd's robustness tests, which settle unknown outcomes from the log the same way.
"""

import bisect
import heapq
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
from sqlalchemy import create_engine, select

from registry_grpc.domain.pointers import Pointer
from registry_grpc.domain.resources import Version
from registry_grpc.storage.sql import tables
from registry_grpc.storage.sql.documents import RESOURCES
from tests.kit.catalogue import REVISION

PATIENCE_S = 5.0
APPLIED, REFUSED, UNKNOWN = "applied", "refused", "unknown"
_DEFINITE = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
}
PointerId = tuple[str, str]
"""Resource name of a model, and the id of a stage or alias (which share one space of names)."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One change as its client saw it, over all its attempts. Times are seconds of `time.monotonic`."""

    client: int
    request_id: str
    began: float
    ended: float
    outcome: str
    revision: int = 0
    """As the reply says."""
    wanted: tuple[PointerId, int] | None = None
    """Where it asked a pointer to be. What is so already needs no change; the reply names the revision that did it."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """Where one pointer pointed as a client was told it."""

    client: int
    pointer: PointerId
    began: float
    ended: float
    number: int
    """Of the version; 0 for none."""
    pointer_revision: int
    """Revision the pointer was last changed at, as the answer says."""
    revision: int
    """Revision the answer was read at; the pointer itself may be newer, from a commit of the answering replica."""
    min_revision: int = 0
    stale: bool = False


@dataclass(frozen=True)
class Entry:
    """One revision of the log."""

    revision: int
    request_id: str
    time: datetime
    pointers: dict[PointerId, int]
    """Pointers that moved, and the version each points at since; 0 for none."""
    stages: dict[tuple[str, int], str] = field(default_factory=dict)
    """Versions that changed, by model and number, and the stage that each is in since."""


class Recorder:
    """Makes calls and keeps what came of them. Safe from many threads."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self._lock = threading.Lock()

    def write(self, client: int, request: Any, calls: Iterator[Callable[..., Any]], **about: Any) -> Any:
        """Make the change by the first of `calls`, and again by the next while the outcome is unknown.

        The reply, or None when it was refused or nobody knows. `about`: further fields of `Write`.
        """
        began, reply, outcome, revision = time.monotonic(), None, UNKNOWN, 0
        for number, call in enumerate(calls):
            try:
                reply = call(request, timeout=PATIENCE_S)
            except grpc.RpcError as error:
                if error.code() not in _DEFINITE:
                    continue
                # After an attempt that may still be under way, a refusal settles nothing.
                outcome = UNKNOWN if number else REFUSED
                break
            outcome, revision = APPLIED, reply.revision
            break
        self._keep(
            self.writes,
            Write(
                client=client,
                request_id=request.request_id,
                began=began,
                ended=time.monotonic(),
                outcome=outcome,
                revision=revision,
                **about,
            ),
        )
        return reply

    def read(self, client: int, request: Any, call: Any) -> Read | None:
        """One Resolve of a stage or alias; None when it failed."""
        began = time.monotonic()
        try:
            reply, done = call.with_call(request, timeout=PATIENCE_S)
        except grpc.RpcError:
            return None
        read = Read(
            client=client,
            pointer=(request.name, request.stage or request.alias),
            began=began,
            ended=time.monotonic(),
            number=reply.version_number,
            pointer_revision=reply.pointer_revision,
            revision=int(dict(done.trailing_metadata())[REVISION]),
            min_revision=request.min_revision,
            stale=reply.stale,
        )
        self._keep(self.reads, read)
        return read

    def _keep(self, kept: list[Any], one: Any) -> None:
        with self._lock:
            kept.append(one)


def log_of(url: str) -> list[Entry]:
    """The event log of a registry, in order of its rows."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(select(tables.event).order_by(tables.event.c.revision, tables.event.c.idx)).all()
    engine.dispose()
    entries: dict[int, Entry] = {}
    for row in rows:
        entry = entries.setdefault(row.revision, Entry(row.revision, row.request_id, row.time, {}))
        after = RESOURCES[row.resource_type][1].decode(row.payload)
        # A pointer is also told of when only its target changed; it keeps its revision then.
        if isinstance(after, Pointer) and after.revision == row.revision:
            entry.pointers[str(after.model), after.id] = after.target.name.number if after.target else 0
        elif isinstance(after, Version):
            gone = after.delete_time is not None
            entry.stages[str(after.name.parent), after.name.number] = "" if gone else after.stage
    return list(entries.values())


def faults_of(
    log: Iterable[Entry], writes: Iterable[Write], reads: Iterable[Read], *, max_staleness_s: float = 2.0
) -> list[str]:
    """What the log cannot explain, a sentence each; nothing when all is well."""
    entries, made, seen = list(log), list(writes), list(reads)
    return [
        *_order(entries),
        *_effects(entries, made),
        *_real_time(entries, made),
        *_holders(entries),
        *_replay(entries, made, seen),
        *_freshness(made, seen, max_staleness_s),
        *_monotonic(seen),
    ]


def _order(entries: list[Entry]) -> Iterator[str]:
    """Revisions are dense from 1 on, and the clock of the log goes with them."""
    for before, entry in zip([None, *entries], entries, strict=False):
        expected = before.revision + 1 if before else 1
        if entry.revision != expected:
            yield f"revision {entry.revision} stands where {expected} should"
        if before and entry.time < before.time:
            yield f"revision {entry.revision} is older than {before.revision}"


def _effects(entries: list[Entry], writes: list[Write]) -> Iterator[str]:
    """What was acknowledged is there, once, under its revision; what was refused is not."""
    where = {entry.request_id: entry.revision for entry in entries if entry.request_id}
    moved = {entry.revision: entry.pointers for entry in entries}
    for request_id, times in Counter(entry.request_id for entry in entries if entry.request_id).items():
        if times > 1:
            yield f"request {request_id} took effect {times} times"
    for write in writes:
        found = where.get(write.request_id, 0)
        if write.outcome == APPLIED and found != write.revision and not (found == 0 and _was_so(write, moved)):
            yield f"request {write.request_id} was acknowledged at {write.revision} and is in the log at {found}"
        if write.outcome == REFUSED and found:
            yield f"request {write.request_id} was refused and is in the log at {found}"


def _was_so(write: Write, moved: dict[int, dict[PointerId, int]]) -> bool:
    if write.wanted is None:
        return False
    pointer, number = write.wanted
    return moved.get(write.revision, {}).get(pointer) == number


def _real_time(entries: list[Entry], writes: list[Write]) -> Iterator[str]:
    """A write that began after another had ended has the higher revision; unknown ones are settled from the log."""
    where = {entry.request_id: entry.revision for entry in entries if entry.request_id}
    ended: list[tuple[float, int]] = []
    highest = 0
    for write in sorted(writes, key=lambda each: each.began):
        while ended and ended[0][0] < write.began:
            highest = max(highest, heapq.heappop(ended)[1])
        revision = where.get(write.request_id, 0)
        if not revision:
            continue
        if revision < highest:
            yield f"request {write.request_id} got revision {revision}, after {highest} had been acknowledged"
        if write.outcome == APPLIED:
            heapq.heappush(ended, (write.ended, revision))


def _holders(entries: list[Entry], exclusive: str = "production") -> Iterator[str]:
    """At no revision do two versions of a model hold the exclusive stage, and its pointer names the one that does."""
    holders: defaultdict[str, set[int]] = defaultdict(set)
    pointers: dict[str, int] = {}
    for entry in entries:
        touched = set()
        for (model, number), stage in entry.stages.items():
            (holders[model].add if stage == exclusive else holders[model].discard)(number)
            touched.add(model)
        for (model, name), number in entry.pointers.items():
            if name == exclusive:
                pointers[model] = number
                touched.add(model)
        for model in touched:
            pointed = {pointers[model]} if pointers.get(model) else set()
            if holders[model] != pointed:
                held = sorted(holders[model])
                yield f"at {entry.revision} {exclusive} of {model} is held by {held} and points at {sorted(pointed)}"


def _replay(entries: list[Entry], writes: list[Write], reads: list[Read]) -> Iterator[str]:
    """Each read is what replaying the log up to its revision gives, and of nothing that was yet to be asked for."""
    moves: defaultdict[PointerId, list[tuple[int, int]]] = defaultdict(list)
    for entry in entries:
        for pointer, number in entry.pointers.items():
            moves[pointer].append((entry.revision, number))
    asked = {write.request_id: write.began for write in writes}
    began = {entry.revision: asked.get(entry.request_id, 0.0) for entry in entries}
    for read in reads:
        at = max(read.revision, read.pointer_revision)
        history = moves[read.pointer]
        index = bisect.bisect_right(history, at, key=lambda move: move[0]) - 1
        expected = history[index] if index >= 0 else (0, 0)
        if (read.pointer_revision, read.number) != expected:
            told = (read.pointer_revision, read.number)
            yield f"{read.pointer} at {at} was read as {told} and is (revision, version) {expected} in the log"
        if began.get(read.pointer_revision, 0.0) > read.ended:
            yield f"{read.pointer} was read at {read.pointer_revision} before anybody asked for that change"


def _freshness(writes: list[Write], reads: list[Read], max_staleness_s: float) -> Iterator[str]:
    """A read is as new as asked for, and never older than the staleness allowed unless it says so."""
    done = sorted((write.ended, write.revision) for write in writes if write.outcome == APPLIED)
    highest = [0]
    for _, revision in done:
        highest.append(max(highest[-1], revision))
    for read in reads:
        at = max(read.revision, read.pointer_revision)
        if at < read.min_revision:
            yield f"{read.pointer} was read at {at}, with {read.min_revision} asked for"
        due = highest[bisect.bisect_left(done, (read.began - max_staleness_s, 0))]
        if at < due and not read.stale:
            yield f"{read.pointer} was read at {at}, {max_staleness_s:g} s after {due} had been acknowledged"


def _monotonic(reads: list[Read]) -> Iterator[str]:
    """A client that asks for what it saw before never goes back."""
    last: dict[tuple[int, PointerId], Read] = {}
    for read in sorted(reads, key=lambda each: each.began):
        before = last.get((read.client, read.pointer))
        if before and read.min_revision >= before.revision and read.pointer_revision < before.pointer_revision:
            yield f"client {read.client} read {read.pointer} at {before.pointer_revision}, then {read.pointer_revision}"
        last[read.client, read.pointer] = read
