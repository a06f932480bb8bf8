"""Rows 57 to 66 of the hostile inputs that need settings of their own; the rest is `tests/e2e/test_uploads_*`."""

import contextlib
import hashlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import MIB, PART, Content, chunk, finish, part_of_stream, refused, stream
from tests.promises.uploads.world import EMBEDDED, world

SMALL = 100_000
ACTIVE, COMMITTED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_COMMITTED
OPEN = 20
CONTROL_THREADS = 8


@pytest.fixture(scope="module")
def place(service_environment):
    settings = {"upload_idle_s": "1.0", "upload_min_bytes_per_s": "50000", "max_open_uploads": str(OPEN)}
    with world(EMBEDDED, service_environment, **settings) as place:
        yield place


@pytest.fixture
def registry(place):
    registry = place.registry
    yield registry
    for (name,) in place.rows("SELECT project || '/uploads/' || id FROM upload WHERE state = 'active'"):
        registry.cancel(f"projects/{name}")


def must_go_on(registry, version, name, content):
    """The refusal left the upload open and the version as it was."""
    assert registry.state(version)[1] == []
    upload = registry.upload(name)
    assert upload.state == ACTIVE
    done = registry.write(stream(name, content, upload.persisted_size))
    assert (done.state, done.artifact.digest) == (COMMITTED, content.digest)


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("size_bytes", [SMALL, PART + SMALL])
def test_row_57_what_follows_finish_write_is_refused_and_nothing_is_committed(registry, size_bytes):
    content = Content(size_bytes)
    version = registry.draft()
    name = registry.start(version, "model.bin", size_bytes).name
    followers = {
        "data": pb.WriteUploadRequest(write_offset=size_bytes, chunk=chunk(b"more")),
        "a sign of life": pb.WriteUploadRequest(write_offset=size_bytes),
        "another finish": finish(name, content),
        "another header": pb.WriteUploadRequest(name="projects/default/uploads/" + str(uuid.uuid4())),
    }
    for follower in followers.values():
        refusal = refused(lambda: registry.write([*stream(name, content), follower]))  # noqa: B023
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        assert refusal.fields == ("finish_write",)

    must_go_on(registry, version, name, content)


def test_a_client_that_leaves_its_stream_open_after_finish_write_is_answered(registry):
    content = Content(SMALL)
    name = registry.start(registry.draft(), "model.bin", SMALL).name
    answered = threading.Event()

    def messages():
        yield from stream(name, content)
        answered.wait(20)

    upload = registry.write(messages(), timeout_s=10)
    answered.set()

    assert upload.state == COMMITTED


@pytest.mark.promise("P14", "uploads")
def test_row_59_a_million_empty_chunks_are_cut_off_and_cost_little(place, registry):
    content = Content(SMALL)
    version = registry.draft()
    name = registry.start(version, "model.bin", SMALL).name
    cpu = cpu_seconds(place.server.process.pid)
    sent = 0

    def empty():
        nonlocal sent
        message = pb.WriteUploadRequest(name=name)
        while sent < 1_000_000:
            sent += 1
            yield message

    refusal = refused(lambda: registry.write(empty()))

    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert sent < 100_000
    # Ten thousand messages are read, and the rest are not.
    assert cpu_seconds(place.server.process.pid) - cpu < 5
    must_go_on(registry, version, name, content)


def cpu_seconds(pid):
    """Processor time that process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.promise("P14", "uploads")
def test_row_63_a_trickle_is_cut_below_the_minimum_rate_and_can_be_resumed(registry):
    content = Content(PART + SMALL)
    version = registry.draft()
    name = registry.start(version, "model.bin", content.size_bytes).name
    ended = threading.Event()

    def trickle():
        yield from part_of_stream(name, content, 0, PART)
        for at in range(PART, PART + 100):
            ended.wait(0.3)
            yield pb.WriteUploadRequest(name=name, write_offset=at, chunk=chunk(content[at : at + 1]))

    began = time.monotonic()
    refusal = refused(lambda: registry.write(trickle()))
    ended.set()

    assert (refusal.code, refusal.reason) == ("DEADLINE_EXCEEDED", "STREAM_IDLE")
    assert refusal.facts["persistedSize"] == str(PART)
    assert time.monotonic() - began < 15
    must_go_on(registry, version, name, content)


@pytest.mark.promise("P14", "uploads")
def test_row_63_a_stream_that_stops_is_ended_and_can_be_resumed(registry):
    content = Content(SMALL)
    version = registry.draft()
    name = registry.start(version, "model.bin", SMALL).name
    ended = threading.Event()

    def stops():
        yield from part_of_stream(name, content, 0, 1000)
        ended.wait(30)

    refusal = refused(lambda: registry.write(stops()))
    ended.set()

    assert (refusal.code, refusal.reason) == ("DEADLINE_EXCEEDED", "STREAM_IDLE")
    must_go_on(registry, version, name, content)


def test_a_client_that_says_that_it_is_there_is_not_cut_for_being_slow(registry):
    content = Content(SMALL)
    name = registry.start(registry.draft(), "model.bin", SMALL).name
    pause = threading.Event()

    def slow():
        yield from part_of_stream(name, content, 0, 10)
        for _ in range(8):
            pause.wait(0.4)
            yield pb.WriteUploadRequest(name=name, write_offset=10)
        yield from stream(name, content, 10)

    assert registry.write(slow()).state == COMMITTED


@pytest.mark.promise("P14", "uploads")
def test_row_64_more_open_uploads_than_a_principal_may_have_are_refused_until_one_ends(place, registry):
    version = registry.draft()
    names = [registry.start(version, f"{at}.bin", SMALL).name for at in range(OPEN)]

    refusal = refused(lambda: registry.start(version, "one-more.bin", SMALL))

    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert refusal.facts["limit"] == str(OPEN)
    registry.cancel(names[0])
    again = registry.start(version, "one-more.bin", SMALL)
    content = Content(SMALL)
    assert registry.write(stream(again.name, content)).state == COMMITTED
    # What takes no session is not counted: bytes that are held already.
    registry.start(version, "last.bin", SMALL)
    assert registry.start(version, "held.bin", SMALL, sha256=content.sha256).state == COMMITTED
    # However many come at once, they pass the limit at most by the threads that count at one moment.
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda at: _try(lambda: registry.start(version, f"race-{at}.bin", SMALL)), range(32)))
    assert place.rows("SELECT count(*) FROM upload WHERE state = 'active'")[0][0] <= OPEN + CONTROL_THREADS
    assert len(registry.state(version)[1]) == 2


def _try(call):
    with contextlib.suppress(grpc.RpcError):
        call()


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("size_bytes", [-1, (5 << 40) + 1, 100 << 40, (1 << 63) - 1])
def test_row_64_sizes_that_no_file_may_have_are_refused_at_the_start(registry, size_bytes):
    refusal = refused(lambda: registry.start(registry.draft(), "model.bin", size_bytes))

    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", ("size_bytes",))


@pytest.mark.promise("P14", "uploads")
def test_row_65_a_file_of_more_parts_than_s3_takes_gets_larger_parts(place, registry):
    registry.start(registry.draft(), "model.bin", 5 << 40)

    ((size, part),) = place.rows("SELECT size_bytes, part_bytes FROM upload WHERE state = 'active'")
    assert part % PART == 0
    assert -(-size // part) <= 10_000


@pytest.mark.promise("P14", "uploads")
def test_row_66_a_digest_is_no_key_to_bytes_of_another_project(registry):
    content = Content(MIB)
    registry.push(registry.draft(), "model.bin", content)
    other = registry.draft(registry.project())

    started = registry.start(other, "stolen.bin", MIB, sha256=content.sha256)

    assert started.state == ACTIVE
    same_as_unknown = registry.start(other, "new.bin", MIB, sha256=hashlib.sha256(b"nobody's").hexdigest())
    assert (started.persisted_size, started.deduplicated) == (same_as_unknown.persisted_size, False)
