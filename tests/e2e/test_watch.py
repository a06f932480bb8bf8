"""Watch on a real server: in order, whole, once, and resumed at the very place."""

import contextlib
import itertools
import threading
import time

import grpc
import pytest

from registry_grpc.client import OutOfRange, Registry
from registry_grpc.v1 import events_pb2 as pb
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.waiting import until

K = pb.WatchResponse
DEFAULT = "projects/default"


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield server


@pytest.fixture
def registry(server, tmp_path):
    with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "cache") as client:
        yield client


class Reader:
    """Reads a watch in a thread, keeping every message."""

    def __init__(self, server, **request):
        request.setdefault("parent", DEFAULT)
        self.api = server.api()
        self.call = self.api.events.Watch(pb.WatchRequest(**request))
        self.messages, self.error = [], None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            self.messages.extend(self.call)
        except grpc.RpcError as error:
            self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call.cancel()
        self._thread.join(10)
        self.api.close()

    @property
    def events(self):
        return [event for message in list(self.messages) if message.kind == K.KIND_EVENTS for event in message.events]

    def saw(self, count, **which):
        """Wait until so many events with these fields came; returns them."""

        def found():
            return [one for one in self.events if all(getattr(one, name) == value for name, value in which.items())]

        until(lambda: len(found()) >= count, 20)
        return found()


def seen(server, **request):
    """Start a watch and wait until it is there: it said how things stand."""
    reader = Reader(server, send_initial_state=True, **request)
    until(lambda: any(message.kind == K.KIND_INITIAL_STATE_END for message in list(reader.messages)), 20)
    return reader


def test_the_state_at_one_revision_then_every_change_once_and_in_order(server, registry):
    registry.create_model("before")
    registry.create_version("before")
    with seen(server) as reader:
        end = next(message for message in reader.messages if message.kind == K.KIND_INITIAL_STATE_END)
        state = {event.name for message in reader.messages for event in message.events}
        assert {DEFAULT, f"{DEFAULT}/models/before"} <= state
        numbers = [registry.create_version("before").number for _ in range(20)]
        created = reader.saw(20, resource_type="ModelVersion", action=pb.EVENT_ACTION_CREATED)
    assert [event.version.number for event in created] == numbers
    revisions = [message.revision for message in reader.messages if message.kind == K.KIND_EVENTS]
    assert revisions == sorted(set(revisions))
    assert min(revisions) > end.revision
    assert all(
        event.revision == message.revision
        for message in reader.messages
        for event in message.events
        if message.kind == K.KIND_EVENTS
    )


def test_all_events_of_a_promotion_come_in_one_message(server, registry, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"w")
    version = registry.push("swapped", tmp_path / "w.bin")
    registry.promote(version.location, "staging")
    with seen(server, parent=f"{DEFAULT}/models/swapped", resource_types=["Stage", "ModelVersion"]) as reader:
        registry.promote(version.location, "production", reason="fit")
        (stage,) = [
            event
            for event in reader.saw(1, resource_type="Stage", action=pb.EVENT_ACTION_ASSIGNED)
            if event.stage.name.endswith("production")
        ]
    assert stage.stage.version == version.name
    assert (stage.actor, stage.stage.justification) == ("user:admin", "fit")
    (whole,) = [message for message in reader.messages if message.revision == stage.revision and message.events]
    assert {event.resource_type for event in whole.events} == {"Stage", "ModelVersion"}
    assert not whole.partial


def test_a_watch_goes_on_where_its_token_stands_and_misses_and_repeats_nothing(server, registry):
    registry.create_model("resumed")
    with seen(server, parent=f"{DEFAULT}/models/resumed") as reader:
        for _ in range(5):
            registry.create_version("resumed")
        reader.saw(5, resource_type="ModelVersion")
    tokens = [message.resume_token for message in reader.messages if message.resume_token]
    rest = [registry.create_version("resumed").number for _ in range(5)]
    for back, token in enumerate(reversed(tokens)):
        with Reader(server, parent=f"{DEFAULT}/models/resumed", resume_token=token) as again:
            found = again.saw(5 + back, resource_type="ModelVersion", action=pb.EVENT_ACTION_CREATED)
        assert [event.version.number for event in found] == list(range(rest[0] - back, rest[-1] + 1))
    with contextlib.closing(server.api()) as api:
        page = api.events.ListEvents(pb.ListEventsRequest(parent=f"{DEFAULT}/models/resumed", resume_token=tokens[-1]))
    assert [event.version.number for event in page.events if event.resource_type == "ModelVersion"] == rest


def test_listing_reads_the_same_events_as_watching(server, registry):
    registry.create_model("listed")
    with Reader(server, after_revision=1, parent=f"{DEFAULT}/models/listed") as reader:
        for _ in range(10):
            registry.create_version("listed")
        watched = reader.saw(11)
    api, listed, token = server.api(), [], ""
    while True:
        page = api.events.ListEvents(
            pb.ListEventsRequest(parent=f"{DEFAULT}/models/listed", resume_token=token, page_size=3)
        )
        listed += page.events
        token = page.resume_token
        if not page.more:
            break
    api.close()
    assert [(event.revision, event.name) for event in listed] == [(event.revision, event.name) for event in watched]


def test_only_what_is_wanted_comes(server, registry, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"w")
    with seen(server, resource_types=["Stage"], stages=["staging"]) as reader:
        version = registry.push("filtered", tmp_path / "w.bin")
        registry.promote(version.location, "staging")
        registry.promote(version.location, "production")
        reader.saw(1, resource_type="Stage", name=f"{DEFAULT}/models/filtered/stages/staging")
        registry.create_project("elsewhere-" + version.uid[:8])
        until(lambda: len(reader.events) >= 2, 20)
    assert {event.name.rpartition("/")[2] for event in reader.events} == {"staging"}


def test_progress_comes_while_nothing_else_does(server, registry):
    head = registry.server_info().current_revision
    with Reader(server, parent=f"{DEFAULT}/models/quiet", progress_interval={"seconds": 1}) as reader:
        until(lambda: reader.messages, 15)
    mark = reader.messages[0]
    assert mark.kind == K.KIND_PROGRESS
    assert mark.revision >= head
    with Reader(server, resume_token=mark.resume_token) as again:
        registry.create_model("after-progress")
        assert again.saw(1, name=f"{DEFAULT}/models/after-progress")


HOSTILE = {
    "a revision beyond 63 bits' good sense": ({"after_revision": 2**63 - 1}, "OUT_OF_RANGE", "REVISION_UNKNOWN"),
    "a negative revision": ({"after_revision": -1}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    "no token": ({"resume_token": "x"}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    "a token and a revision": ({"resume_token": "x", "after_revision": 1}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    "everything at once": ({"send_initial_state": True, "after_revision": 1}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    "an unknown type": ({"resource_types": ["Cat"]}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    "no name": ({"parent": "cats/1"}, "INVALID_ARGUMENT", "INVALID_RESOURCE_NAME"),
    "an absent model's state": (
        {"parent": f"{DEFAULT}/models/absent", "send_initial_state": True},
        "NOT_FOUND",
        "MODEL_NOT_FOUND",
    ),
}


def reason_of(error):
    from registry_grpc.client.status import error_from_rpc

    return error_from_rpc(error, "").reason


@pytest.mark.promise("P06", "gap")
@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_makes_no_sense_is_refused_by_name(server, row):
    request, code, reason = row
    with contextlib.closing(server.api()) as api, pytest.raises(grpc.RpcError) as refused:
        next(api.events.Watch(pb.WatchRequest(**{"parent": DEFAULT} | request), timeout=10))
    assert (refused.value.code().name, reason_of(refused.value)) == (code, reason)


@pytest.mark.promise("P06", "gap")
def test_a_token_of_another_history_is_noticed(server, registry, service_environment):
    registry.create_model("history")
    with Reader(server, after_revision=1) as reader:
        reader.saw(1)
    token = next(message.resume_token for message in reader.messages if message.resume_token)
    with (
        deployed("embedded", service_environment) as other,
        contextlib.closing(other.api()) as api,
        pytest.raises(grpc.RpcError) as refused,
    ):
        next(api.events.Watch(pb.WatchRequest(parent=DEFAULT, resume_token=token), timeout=10))
    assert reason_of(refused.value) == "HISTORY_CHANGED"


def test_a_revoked_caller_hears_no_more(server, registry):
    registry.create_service_account("watcher")
    binding = registry.create_role_binding("viewer", ["serviceAccount:default/watcher"])
    secret = registry.issue_token("watcher").secret
    with contextlib.closing(server.api(secret)) as api:
        stream = api.events.Watch(pb.WatchRequest(parent=DEFAULT, send_initial_state=True))
        next(stream)
        registry.delete_role_binding(binding.name)
        with pytest.raises(grpc.RpcError) as ended:
            for _ in stream:
                pass
    assert ended.value.code().name in {"PERMISSION_DENIED", "NOT_FOUND"}


def test_a_stopping_server_says_when_to_come_back(service_environment):
    with deployed("embedded", service_environment) as server:
        with Reader(server, send_initial_state=True) as reader:
            until(lambda: reader.messages, 20)
            assert server.stop() == 0
            reader._thread.join(10)
        last = reader.messages[-1]
        assert last.kind == K.KIND_CLOSING
        assert reader.error is None
        assert 0 <= last.reconnect_after.ToMicroseconds() <= 5_000_000
        server.start()
        with (
            Reader(server, resume_token=last.resume_token) as again,
            Registry(server.endpoint, token=server.token) as registry,
        ):
            registry.create_model("later")
            assert again.saw(1, name=f"{DEFAULT}/models/later")


@pytest.mark.promise("P06", "gap")
@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_a_place_that_was_compacted_is_refused_and_the_sdk_begins_anew(kind, service_environment):
    with deployed(kind, service_environment, event_retention_s="1") as server:
        with Registry(server.endpoint, token=server.token) as registry:
            registry.create_model("old")
            created = registry.create_version("old")
            last = registry.update_model("old", description="newest, and kept").revision
        with contextlib.closing(server.api()) as api:
            token = api.events.ListEvents(pb.ListEventsRequest(parent=DEFAULT, page_size=1)).resume_token
        time.sleep(1.5)
        # A leader forgets events as soon as it is one, and gives the lease back when it stops.
        server.stop()
        server.start()
        with contextlib.closing(server.api()) as api:

            def refusal():
                try:
                    api.events.ListEvents(pb.ListEventsRequest(parent=DEFAULT, resume_token=token))
                except grpc.RpcError as error:
                    return error.code().name, reason_of(error)
                return None

            until(refusal, 60)
            assert refusal() == ("OUT_OF_RANGE", "REVISION_COMPACTED")
        with Registry(server.endpoint, token=server.token) as registry:
            with registry.watch(resume_token=token, state=False) as watch, pytest.raises(OutOfRange) as refused:
                next(watch)
            assert int(refused.value.metadata["oldestRevision"]) <= last
            with registry.watch("old", resume_token=token) as watch:
                stated = [change.event.name for change in itertools.takewhile(lambda one: one.event, watch)]
            assert created.name in stated
