"""P03: twenty uploads broken off at once, at offsets of every sort, in each way there is: nothing is committed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import MIB, PART, Content, Held, chunk, finish, part_of_stream, refused, stream
from tests.kit.waiting import until
from tests.promises.uploads.world import KINDS, world

ROOT = Path(__file__).parents[3]
SIZE = PART + 2 * MIB
TRIES = 20
ACTIVE, COMMITTED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_COMMITTED
CHOSEN = random.Random(4)
OFFSETS = [0, 1, MIB, PART - 1, PART, PART + 1, SIZE - 1, SIZE, *(CHOSEN.randrange(3 * MIB) for _ in range(12))]
"""Where each of the twenty breaks off; the boundaries, and mostly short ones, for time's sake."""
_CLIENT = """
import sys, threading, time
import grpc
from registry_grpc.v1 import artifacts_pb2_grpc
from tests.kit.server import WithToken
from tests.kit.uploads import Content, part_of_stream

endpoint, token, size, *uploads = sys.argv[1:]
stub = artifacts_pb2_grpc.ArtifactServiceStub(
    grpc.intercept_channel(grpc.insecure_channel(endpoint), WithToken(token)))
sent = threading.Barrier(len(uploads) + 1)

def write(name, seed, stop):
    def messages():
        yield from part_of_stream(name, Content(int(size), int(seed)), 0, int(stop))
        sent.wait()
        time.sleep(60)
    try:
        stub.WriteUpload(messages())
    except grpc.RpcError as error:
        print(error, file=sys.stderr)

for each in uploads:
    threading.Thread(target=write, args=each.split(","), daemon=True).start()
sent.wait()
print("sent", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module", params=KINDS)
def place(request, service_environment):
    with world(request.param, service_environment) as place:
        yield place


class Twenty:
    """Twenty uploads into one draft, each with content of its own and an offset at which it will end."""

    def __init__(self, place):
        self.place = place
        self.registry = place.registry
        self.version = self.registry.draft()
        self.contents = [Content(SIZE) for _ in OFFSETS]
        self.names = [self.registry.start(self.version, f"{at}.bin", SIZE).name for at in range(TRIES)]
        self.before = self.registry.state(self.version)

    def __iter__(self):
        return iter(zip(self.names, self.contents, OFFSETS, strict=True))

    def each(self, do):
        """`do(name, content, offset)` for all of them, a few at a time."""
        with ThreadPoolExecutor(5) as threads:
            return list(threads.map(lambda each: do(*each), self))

    def must_have_changed_nothing(self):
        """No file, every upload open, each goes on; the store holds what rows name and nothing else."""
        assert self.registry.state(self.version) == self.before
        found = [self.registry.upload(name) for name in self.names]
        assert {upload.state for upload in found} == {ACTIVE}
        assert {upload.persisted_size for upload in found} <= {0, PART, SIZE}
        assert self.place.objects() <= {key for (key,) in self.place.rows("SELECT key FROM blob")}
        for upload, content in list(zip(found, self.contents, strict=True))[4:8]:
            done = self.registry.write(stream(upload.name, content, upload.persisted_size))
            assert (done.state, done.artifact.digest) == (COMMITTED, content.digest)
            assert self.registry.read(done.artifact.name) == content.whole
        for name in self.names[:4] + self.names[8:]:
            self.registry.cancel(name)
        assert len(self.registry.state(self.version)[1]) == 4
        assert self.place.under_way() == []


def held_open(twenty, timeout_s=60.0):
    """Calls that have sent all they will send, and their streams."""
    streams = [Held(part_of_stream(name, content, 0, offset)) for name, content, offset in twenty]
    # A call in which nothing was said belongs to no upload: what it says is the shortest that is one.
    for held, (name, _, offset) in zip(streams, twenty, strict=True):
        if not offset:
            held._messages = [pb.WriteUploadRequest(name=name)]
    calls = [twenty.registry.writing(held, timeout_s) for held in streams]
    wanted = [max(1, -(-offset // MIB)) for offset in OFFSETS]
    until(lambda: all(held.sent == count for held, count in zip(streams, wanted, strict=True)), 40)
    return calls, streams


def code_of(call):
    with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
        call.result(timeout=30)
    return call.code().name


@pytest.mark.promise("P03", "cancel")
def test_twenty_cancelled_uploads_commit_nothing(place):
    twenty = Twenty(place)
    calls, streams = held_open(twenty)

    for call in calls:
        call.cancel()
    assert {code_of(call) for call in calls} == {"CANCELLED"}
    for held in streams:
        held.let_go()

    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "deadline")
def test_twenty_uploads_past_their_deadline_commit_nothing(place):
    twenty = Twenty(place)
    # Not all of them get to send what they wanted: a deadline does not wait for that.
    streams = [Held(part_of_stream(name, content, 0, offset)) for name, content, offset in twenty]
    deadlines = [0.05 + 0.1 * at for at in range(TRIES)]
    calls = [twenty.registry.writing(held, after_s) for held, after_s in zip(streams, deadlines, strict=True)]

    assert {code_of(call) for call in calls} == {"DEADLINE_EXCEEDED"}
    for held in streams:
        held.let_go()

    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "kill")
def test_a_client_killed_with_twenty_uploads_open_commits_nothing(place):
    twenty = Twenty(place)
    server = place.server
    uploads = [f"{name},{content.seed},{offset}" for name, content, offset in twenty]
    client = subprocess.Popen(
        [sys.executable, "-c", _CLIENT, server.endpoint, server.token, str(SIZE), *uploads],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout.readline() == "sent\n"

    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    client.stdout.close()

    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "close")
def test_twenty_streams_that_end_without_finish_write_commit_nothing(place):
    twenty = Twenty(place)

    def close(name, content, offset):
        messages = [*part_of_stream(name, content, 0, offset)] or [pb.WriteUploadRequest(name=name)]
        return twenty.registry.write(messages)

    assert {upload.state for upload in twenty.each(close)} == {ACTIVE}
    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "short")
def test_twenty_uploads_finished_too_early_commit_nothing(place):
    twenty = Twenty(place)

    def finish_early(name, content, offset):
        stop = min(offset, SIZE - 1)
        last = finish(name, content, write_offset=stop)
        return refused(lambda: twenty.registry.write([*part_of_stream(name, content, 0, stop), last]))

    found = twenty.each(finish_early)

    assert {(refusal.code, refusal.reason) for refusal in found} == {("OUT_OF_RANGE", "SIZE_MISMATCH")}
    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "long")
def test_twenty_uploads_with_more_than_was_declared_commit_nothing(place):
    twenty = Twenty(place)

    def overrun(name, content, offset):
        # A chunk that begins before the end and reaches beyond it.
        start = SIZE - offset % MIB
        excess = content[start:SIZE] + b"!" * (1 + offset % 1000)
        messages = [*part_of_stream(name, content, 0, start)]
        messages.append(pb.WriteUploadRequest(name=name, write_offset=start, chunk=chunk(excess), finish_write=True))
        messages[-1].digest.CopyFrom(content.digest)
        return refused(lambda: twenty.registry.write(messages))

    found = twenty.each(overrun)

    assert {(refusal.code, refusal.reason) for refusal in found} == {("OUT_OF_RANGE", "SIZE_MISMATCH")}
    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "oversize chunk")
def test_twenty_uploads_with_a_chunk_over_the_limit_commit_nothing(place):
    twenty = Twenty(place)

    def oversize(name, content, offset):
        messages = [*part_of_stream(name, content, 0, offset)]
        # Over the limit of chunks, and then over that of messages, which the transport refuses.
        size = 3 * MIB if offset % 2 else 5 * MIB
        messages.append(pb.WriteUploadRequest(name=name, write_offset=offset, chunk=chunk(bytes(size))))
        return refused(lambda: twenty.registry.write(messages))

    found = twenty.each(oversize)

    assert {refusal.code for refusal in found} == {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    twenty.must_have_changed_nothing()


@pytest.mark.promise("P03", "superseded")
def test_of_an_old_writer_and_a_new_one_with_other_bytes_only_one_ever_wins(place):
    registry = place.registry
    version = registry.draft()
    for attempt in range(5):
        name = registry.start(version, f"{attempt}.bin", SIZE).name
        old, new = Content(SIZE), Content(SIZE)
        paused = threading.Event()

        def old_messages(name=name, old=old, paused=paused):
            yield from part_of_stream(name, old, 0, MIB)
            paused.wait(30)
            yield from stream(name, old, MIB)

        call = registry.writing(old_messages())
        until(lambda: place.epoch(name) == 1, 20)  # noqa: B023
        newer = registry.writing(stream(name, new))
        until(lambda: place.epoch(name) >= 2, 20)  # noqa: B023
        paused.set()

        refusal = refused(lambda: call.result(timeout=30))  # noqa: B023
        assert (refusal.code, refusal.reason) in {
            ("ABORTED", "UPLOAD_SUPERSEDED"),
            ("FAILED_PRECONDITION", "UPLOAD_CLOSED"),
        }
        # The old one may have stored a part over the new one's before it was refused: then nobody wins.
        with contextlib.suppress(grpc.RpcError):
            newer.result(timeout=30)
        upload = registry.upload(name)
        assert upload.state in {COMMITTED, pb.Upload.STATE_FAILED}
        if upload.state == COMMITTED:
            assert upload.artifact.digest == new.digest
            assert registry.read(upload.artifact.name) == new.whole
    assert place.under_way() == []
