"""Watching: changes as they happen, over restarts, cuts and replicas, none missed and none twice."""

from __future__ import annotations

import random
import threading
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.duration_pb2 import Duration

from registry_grpc.client.connection import Connection
from registry_grpc.client.retries import is_transient
from registry_grpc.client.status import error_from_rpc
from registry_grpc.v1 import events_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from registry_grpc.client.errors import RegistryError
    from registry_grpc.client.settings import Settings

EVERYTHING = "projects/-"
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
_BEGIN_ANEW = {"HISTORY_CHANGED", "REVISION_COMPACTED"}
_Kind = events_pb2.WatchResponse


class Kind(StrEnum):
    """What a change is."""

    STATE = "state"
    """The resource is there; part of the state a watch begins with."""
    SYNCED = "synced"
    """The state is complete: whatever was known before and did not come is gone."""
    EVENT = "event"
    """It happened."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing a watch tells."""

    kind: Kind
    revision: int
    event: events_pb2.Event | None
    """None only when SYNCED."""
    resume_token: str
    """Where to go on once this was dealt with; empty while more of its revision, or of the state, is to come."""


class Watch:
    """An iterator over changes; ends when closed. One reader; `close` from any thread.

    It has a channel of its own. When the stream breaks it comes back by itself, wherever a replica answers, for as long
    as that takes. When the registry no longer knows the place (after a restore, or after too long) it begins anew with
    the state, which ends with SYNCED.
    """

    def __init__(self, settings: Settings, request: events_pb2.WatchRequest, *, anew: bool) -> None:
        """Nothing is connected before the first change is asked for. `anew`: begin with the state when it must."""
        self._connection = Connection(settings)
        self._request = request
        self._anew = anew
        self._closed = threading.Event()
        self._call: Any = None
        self._held: list[events_pb2.Event] = []
        """Of a revision that did not come whole yet."""
        self._pause_s = FIRST_PAUSE_S
        self._is_renewed = False
        """Whether the last call began because the token of the one before had ended."""
        self._changes = self._run()

    @property
    def resume_token(self) -> str:
        """Where this watch stands; give it to a new one to go on there. Empty until the first place is known."""
        return self._request.resume_token

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        return next(self._changes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the watch; a reader that waits is let go."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        self._connection.close()

    def _run(self) -> Iterator[Change]:
        while not self._closed.is_set():
            try:
                yield from self._stream()
            except grpc.RpcError as broken:
                if not self._closed.is_set():
                    self._survive(error_from_rpc(broken))
        self._connection.close()

    def _stream(self) -> Iterator[Change]:
        """One call, to its end."""
        self._held.clear()
        metadata = tuple(self._connection.metadata(read=False, call_id=str(uuid.uuid4())))
        self._call = self._connection.stubs.events.Watch(self._request, metadata=metadata, wait_for_ready=True)
        if self._closed.is_set():
            # It was closed meanwhile, and found no call to cancel.
            self._call.cancel()
        for message in self._call:
            if self._closed.is_set():
                return
            self._pause_s, self._is_renewed = FIRST_PAUSE_S, False
            yield from self._changes_of(message)
            if message.kind == _Kind.KIND_CLOSING:
                self._closed.wait(message.reconnect_after.ToMicroseconds() / 1e6)

    def _changes_of(self, message: events_pb2.WatchResponse) -> Iterator[Change]:
        if message.kind == _Kind.KIND_INITIAL_STATE:
            for event in message.events:
                yield Change(Kind.STATE, message.revision, event, "")
        elif message.kind == _Kind.KIND_INITIAL_STATE_END:
            self._stand(message)
            yield Change(Kind.SYNCED, message.revision, None, message.resume_token)
        elif message.kind == _Kind.KIND_EVENTS:
            self._held += message.events
            if message.partial:
                return
            events, self._held = self._held, []
            last = len(events) - 1
            for at, event in enumerate(events):
                yield Change(Kind.EVENT, message.revision, event, message.resume_token if at == last else "")
            # Only now: whoever stops in the middle of a revision gets all of it again from a watch made anew.
            self._stand(message)
        elif message.resume_token:
            self._stand(message)

    def _stand(self, message: events_pb2.WatchResponse) -> None:
        self._request.send_initial_state = False
        self._request.after_revision = 0
        self._request.resume_token = message.resume_token

    def _survive(self, error: RegistryError) -> None:
        """Wait until it is worth coming back.

        Raises: `error`, when it is not.
        """
        if error.reason in _BEGIN_ANEW:
            if not self._anew:
                raise error
            self._request.resume_token = ""
            self._request.send_initial_state = True
            return
        if error.reason == "TOKEN_EXPIRED" and not self._is_renewed:
            # A stream ends with its token. The next one takes what a login or a rotated file has by now; once, because
            # a token that was merely given ends for good.
            self._is_renewed = True
            return
        if not is_transient(error):
            raise error
        self._closed.wait(max(error.retry_after_s or 0.0, self._pause_s) * random.uniform(0.8, 1.2))  # noqa: S311 -- spreads retries
        self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2)


def watch_request(
    parent: str, *, types: list[str], stages: list[str], state: bool, resume_token: str, progress_s: float
) -> events_pb2.WatchRequest:
    """The request of a watch that begins with the state, or where a token stands."""
    progress = Duration()
    progress.FromMilliseconds(round(progress_s * 1000))
    return events_pb2.WatchRequest(
        parent=parent,
        resource_types=types,
        stages=stages,
        resume_token=resume_token,
        send_initial_state=state and not resume_token,
        progress_interval=progress,
    )
