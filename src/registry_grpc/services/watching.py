"""Watch: one stream of the log, from memory while its reader keeps up and from the log itself when it does not.

A stream holds no queue. Its place in the log is a number; a slow reader holds up its own writes, by the transport's
flow control, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.resumption import Position, fingerprint_of
from registry_grpc.services.codec.events import Shown, event_to_wire, resource_event, watch_message
from registry_grpc.services.codec.times import duration_to_wire
from registry_grpc.services.watch_messages import MESSAGE_BYTES, Encoded, messages_of, visible
from registry_grpc.usecases.events import kind_of
from registry_grpc.v1 import events_pb2
from registry_grpc.watch.recent import by_revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from registry_grpc.domain.events import Resource
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.watch_messages import Wish
    from registry_grpc.usecases.events import FindPosition, Page, ReadEvents, ReadState
    from registry_grpc.watch.recent import Recent, Revision

_Kind = events_pb2.WatchResponse
BATCH = 64
"""Most revisions taken from memory before the others get a turn."""
ENCODED_REVISIONS = 1024
MAX_AGE_S = 1800.0
RECONNECT_S = 5.0
LOOK_S = 10.0


class WatchObserver(Protocol):
    """Told how watches go."""

    def watch_began(self) -> None:
        """A stream opened."""

    def watch_ended(self, why: str) -> None:
        """It ended: `client`, `closing` or `error`."""

    def watch_sent(self, lag_s: float) -> None:
        """A message was handed to the transport, so long after its commit."""

    def stage_sent(self, delay_s: float) -> None:
        """News of a stage was, to a watch that was there when it happened and keeps up."""


@dataclass(slots=True, kw_only=True)
class Watches:
    """Serves watches. Concurrency: event loop only."""

    edge: Edge
    recent: Recent
    read: ReadEvents
    find: FindPosition
    state: ReadState
    observer: WatchObserver
    max_age_s: float = MAX_AGE_S
    epoch: int = 0
    """Of the registry; known once started."""
    oldest: int = 1
    """Oldest revision that is kept, as of a moment ago."""
    _task: asyncio.Task[None] | None = None
    _encoded: OrderedDict[int, Encoded] = field(default_factory=OrderedDict)
    _closing: bool = False
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """States read at the same time: each may be large."""

    async def start(self) -> None:
        """Learn which log this is, and keep an eye on where it begins.

        Raises: DATABASE_UNAVAILABLE.
        """
        await self._look()
        self._task = asyncio.create_task(self._keep_looking(), name="watches")

    async def close(self) -> None:
        """The server drains: end every watch, and tell its reader to come back."""
        self._closing = True
        self.edge.feed.wake_watchers()

    async def stop(self) -> None:
        """End the task of `start`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(RegistryError):
                await self._look()

    async def _look(self) -> None:
        store = self.edge.store
        self.epoch, self.oldest = await self.edge.control.run(
            store.read, lambda reader: (reader.feed.epoch(), reader.feed.oldest())
        )

    async def run(self, request: events_pb2.WatchRequest, wish: Wish, interval_s: float) -> AsyncIterator[bytes]:
        """The messages of one watch.

        Raises: INVALID_FIELD, HISTORY_CHANGED, REVISION_COMPACTED, REVISION_UNKNOWN, PROJECT_NOT_FOUND,
            MODEL_NOT_FOUND, QUOTA_EXCEEDED, DATABASE_UNAVAILABLE.
        """
        self.observer.watch_began()
        why = "client"
        try:
            if request.send_initial_state:
                position, resources = await self._read_state(wish)
                for message in self._state_messages(position, resources, wish):
                    yield message
                del resources
            else:
                position = await self._begin(request)
            async for message in self._follow(position, wish, interval_s):
                yield message
            why = "closing"
        except RegistryError:
            why = "error"
            raise
        finally:
            self.observer.watch_ended(why)

    async def list(self, token: str, after_revision: int, limit: int) -> tuple[Page, Position]:
        """Events behind a token or revision, and where to go on.

        Raises: as `run`.
        """
        if token or after_revision:
            begin = await self.edge.read(lambda: self.find(token, after_revision))
        else:
            oldest = await self.edge.read(lambda: self.edge.store.read(lambda reader: reader.feed.oldest()))
            begin = Position(self.edge.store.registry_uid, self.epoch, max(oldest - 1, 0))
        page = await self.edge.read(lambda: self.read(begin.revision, limit))
        if not page.events:
            return page, begin
        last = by_revision(page.events)[-1]
        return page, Position(self.edge.store.registry_uid, self.epoch, last.number, fingerprint_of(last.events))

    async def _begin(self, request: events_pb2.WatchRequest) -> Position:
        if request.resume_token or request.after_revision:
            return await self.edge.read(lambda: self.find(request.resume_token, request.after_revision))
        return Position(self.edge.store.registry_uid, self.epoch, self.edge.feed.revision)

    async def _read_state(self, wish: Wish) -> tuple[Position, Sequence[Resource]]:
        async with self._turns:
            return await self.edge.read(lambda: self.state(wish.project, wish.model, wish.kinds))

    def _state_messages(self, position: Position, resources: Iterable[Resource], wish: Wish) -> Iterator[bytes]:
        head = _Kind(kind=_Kind.KIND_INITIAL_STATE, revision=position.revision).SerializeToString()
        part: list[bytes] = []
        size = 0
        for resource in resources:
            if isinstance(resource, Shown) and wish.wants(resource) and visible(resource):
                part.append(resource_event(resource, Action.CREATED).SerializeToString())
                size += len(part[-1])
            if size > MESSAGE_BYTES:
                yield watch_message(head, part)
                part, size = [], 0
        if part:
            yield watch_message(head, part)
        yield self._mark(_Kind.KIND_INITIAL_STATE_END, str(position), position.revision).SerializeToString()

    async def _follow(self, position: Position, wish: Wish, interval_s: float) -> AsyncIterator[bytes]:
        """Everything behind `position`, until the watch is too old or the server drains."""
        feed, cursor, token = self.edge.feed, position.revision, str(position)
        head = feed.revision  # what came before it happened before the watch was there
        ends = time.monotonic() + self.max_age_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads reconnections
        last = time.monotonic()
        while not self._closing and time.monotonic() < ends:
            if cursor < feed.revision:
                revisions, reached, keeps_up = await self._next(cursor, feed.revision)
                for revision in revisions:
                    encoded = self._encode(revision)
                    for message in messages_of(encoded, wish):
                        yield message
                        last = time.monotonic()
                        lag_s = time.time() - encoded.time
                        self.observer.watch_sent(lag_s)
                        if keeps_up and encoded.moves_stage and revision.number > head:
                            self.observer.stage_sent(lag_s)
                    token = encoded.token
                cursor = reached
                if cursor < feed.revision:
                    await asyncio.sleep(0)  # others must get their turn too, however much there is
                continue
            now = time.monotonic()
            if now >= last + interval_s:
                yield self._mark(_Kind.KIND_PROGRESS, token, cursor).SerializeToString()
                last = now
                continue
            # Nothing came between since it was looked: all of this is one step of the loop.
            await feed.wait_for_news(max(min(last + interval_s, ends) - now, 0.001))
        closing = self._mark(_Kind.KIND_CLOSING, token, cursor)
        spread_s = random.uniform(0.0, RECONNECT_S)  # noqa: S311 - spreads reconnections
        closing.reconnect_after.CopyFrom(duration_to_wire(timedelta(seconds=spread_s)))
        yield closing.SerializeToString()

    async def _next(self, cursor: int, head: int) -> tuple[Sequence[Revision], int, bool]:
        """Some of what follows, up to where that is complete, and whether it was still in memory."""
        found = self.recent.after(cursor, head, BATCH)
        if found is not None:
            return found, found[-1].number, True
        page = await self.edge.control.run(self.read, cursor)
        return by_revision(page.events), page.revision, False

    def _encode(self, revision: Revision) -> Encoded:
        known = self._encoded.get(revision.number)
        if known is None:
            prints = fingerprint_of(revision.events)
            token = str(Position(self.edge.store.registry_uid, self.epoch, revision.number, prints))
            head = self._mark(_Kind.KIND_EVENTS, token, revision.number)
            events = tuple(
                (event.after, event_to_wire(event).SerializeToString())
                for event in revision.events
                if kind_of(event.after)
            )
            moves = any(kind_of(resource) == "Stage" for resource, _ in events)
            known = Encoded(head.SerializeToString(), events, token, revision.events[0].time.timestamp(), moves)
            self._encoded[revision.number] = known
            while len(self._encoded) > ENCODED_REVISIONS:
                self._encoded.popitem(last=False)
        return known

    def _mark(self, kind: _Kind.Kind.ValueType, token: str, revision: int) -> events_pb2.WatchResponse:
        message = events_pb2.WatchResponse(
            kind=kind, revision=revision, resume_token=token, oldest_revision=self.oldest
        )
        message.server_time.GetCurrentTime()
        return message
