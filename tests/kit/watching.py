"""What a watch must be, judged against the log itself."""

import itertools
import threading
from dataclasses import dataclass
from itertools import groupby

import grpc
import sqlalchemy

from registry_grpc.client.watch import Kind
from registry_grpc.v1 import events_pb2, events_pb2_grpc
from tests.kit.waiting import until

SHOWN = {"project", "model", "version", "pointer", "artifact", "deployment", "evidence", "modelsignature"}


class Follower:
    """Collects the changes of a watch in a thread of its own."""

    def __init__(self, watch, *, slow_s=0.0):
        self.watch, self.changes, self.error = watch, [], None
        self._slow = threading.Event()
        self._slow_s = slow_s
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        try:
            for change in self.watch:
                self.changes.append(change)
                if self._slow_s:
                    self._slow.wait(self._slow_s)
        except Exception as error:  # noqa: BLE001 - judged by the test
            self.error = error

    def __enter__(self):
        return self.synced()

    def __exit__(self, *_):
        self.close()

    def events(self, **which):
        """Events that came, with these fields."""
        found = [change.event for change in list(self.changes) if change.kind is Kind.EVENT]
        return [one for one in found if all(getattr(one, name) == value for name, value in which.items())]

    def synced(self):
        until(lambda: self.error or any(change.kind is Kind.SYNCED for change in list(self.changes)), 30)
        return self

    def hurry(self):
        """From now on as fast as it can."""
        self._slow.set()
        self._slow_s = 0.0

    def reached(self, revision, within_s=60):
        until(lambda: self.error or any(change.revision >= revision for change in list(self.changes)), within_s)

    def close(self):
        self._slow.set()
        self.watch.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def told(self):
        """(revision, name, action) of each event, as they came."""
        found = [change for change in list(self.changes) if change.kind is Kind.EVENT]
        return [(change.revision, change.event.name, change.event.action) for change in found]

    @property
    def begun(self):
        """Revision of the state it began with."""
        return next(change.revision for change in self.changes if change.kind is Kind.SYNCED)


@dataclass(frozen=True)
class Told:
    """One whole message of the stream; parts of a revision put together."""

    kind: int
    revision: int
    token: str
    events: int


class RawFollower:
    """Collects the messages of a watch without the SDK; comes back by token, at each endpoint in turn."""

    def __init__(self, endpoints, secret, *, token="", **wish):
        self._endpoints, self._metadata = itertools.cycle(endpoints), [("authorization", f"Bearer {secret}")]
        self.wish, self.messages, self.streams, self.error = wish, [], 0, None
        self._ended, self._call, self._token = threading.Event(), None, token
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while not self._ended.is_set():
            with grpc.insecure_channel(next(self._endpoints)) as channel:
                try:
                    self._stream(events_pb2_grpc.EventServiceStub(channel))
                except grpc.RpcError as broken:
                    if broken.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                        self.error = broken
                        return
            self._ended.wait(0.1)

    def _stream(self, stub):
        begin = {"resume_token": self._token} if self._token else {"send_initial_state": True}
        request = events_pb2.WatchRequest(**self.wish, **begin)
        self._call, held = stub.Watch(request, metadata=self._metadata), 0
        self.streams += 1
        for message in self._call:
            held += len(message.events)
            if not message.partial:
                self._token = message.resume_token or self._token
                self.messages.append(Told(message.kind, message.revision, message.resume_token, held))
                held = 0

    def hurry(self):
        """It is as fast as it can be."""

    def of(self, kind):
        """Messages of this kind that came."""
        return [message for message in list(self.messages) if message.kind == kind]

    def reached(self, revision, within_s=60):
        until(
            lambda: self.error or any(each.token and each.revision >= revision for each in list(self.messages)),
            within_s,
        )

    def close(self):
        self._ended.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def told(self):
        """(revision, nothing, nothing) for each event, as they came."""
        came = self.of(events_pb2.WatchResponse.KIND_EVENTS)
        return [(each.revision, "", "") for each in came for _ in range(each.events)]

    @property
    def begun(self):
        """Revision of the state it began with."""
        return self.of(events_pb2.WatchResponse.KIND_INITIAL_STATE_END)[0].revision


def require_progress(follower, log, upto):
    """A mark, or a message, says that nothing at or below its revision follows; and all of that came before it."""
    kinds = events_pb2.WatchResponse
    reached = came = follower.begun
    for told in follower.messages:
        if told.kind == kinds.KIND_EVENTS:
            assert told.revision > reached
            came = told.revision
        if told.kind in {kinds.KIND_EVENTS, kinds.KIND_PROGRESS}:
            assert not [revision for revision, count in log.items() if count and came < revision <= told.revision]
            reached = told.revision
    assert reached >= upto


def require_resumable(follower, log, upto, endpoints, secret, *, samples=8):
    """Whoever goes on behind any message gets exactly what follows it, wherever it asks."""
    tokens = [told for told in follower.messages if told.token and told.revision < upto]
    assert len(tokens) >= samples
    for told in tokens[:: max(len(tokens) // samples, 1)]:
        again = RawFollower(endpoints, secret, token=told.token, **follower.wish)
        again.reached(upto)
        again.close()
        assert again.error is None
        came = [(each.revision, each.events) for each in again.of(events_pb2.WatchResponse.KIND_EVENTS)]
        expected = [(revision, count) for revision, count in log.items() if told.revision < revision and count]
        assert came == expected[: len(came)]
        assert came[-1][0] >= upto


def logged(url, *, kinds=SHOWN, model="%"):
    """(revision, number of events) of every revision that a watch of these shows, from the table itself."""
    engine = sqlalchemy.create_engine(url)
    query = "SELECT revision, resource_type, model LIKE :model FROM event ORDER BY revision, idx"
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text(query), {"model": model}).all()
    engine.dispose()
    return {
        revision: sum(kind in kinds and named for _, kind, named in group)
        for revision, group in groupby(rows, key=lambda row: row[0])
    }


def require_ordered(told):
    """No event comes after one of a later revision."""
    revisions = [revision for revision, _, _ in told]
    assert revisions == sorted(revisions)


def require_complete_unique_and_atomic(told, log, begun, upto):
    """Every revision the log has behind the beginning came, whole, once."""
    came = {revision: len(list(group)) for revision, group in groupby(told, key=lambda one: one[0])}
    expected = {revision: count for revision, count in log.items() if begun < revision <= upto and count}
    assert {revision: count for revision, count in came.items() if revision <= upto} == expected
