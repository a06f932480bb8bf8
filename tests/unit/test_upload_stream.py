"""One stream of chunks: how it becomes parts, which failure is told, and what a cancel leaves alone."""

import asyncio
import contextlib
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from crc32c import crc32c

from registry_grpc.domain.artifacts import MIB, Upload, UploadPart, UploadState
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, UploadName
from registry_grpc.services import context as contexts
from registry_grpc.services import unhurried
from registry_grpc.services.codec.artifacts import WriteMessage
from registry_grpc.services.transfer_room import TransferRoom
from registry_grpc.services.upload_stream import MAX_EMPTY_CHUNKS, UploadStream
from registry_grpc.services.uploads import Uploads
from registry_grpc.storage.artifacts.faults import unavailable
from registry_grpc.storage.artifacts.hashing import PartHasher
from registry_grpc.usecases.part_hash import PartHash, verified
from registry_grpc.usecases.upload_session import Session
from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2
from tests.server.edge import everything_to

NAME = UploadName("default", "3f2b8c1e-5a44-4c2e-9d0b-7a1c2e3d4f50")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
PART = 10


def upload(size_bytes, **values):
    given = {
        "name": NAME,
        "version": ModelName("default", "m").version(1),
        "version_uid": "v",
        "path": "model.bin",
        "size_bytes": size_bytes,
        "sha256": "",
        "media_type": "application/octet-stream",
        "state": UploadState.ACTIVE,
        "epoch": 1,
        "key": "key",
        "store_upload": "multipart" if size_bytes > PART else "",
        "part_bytes": PART,
        "persisted_size": 0,
        "creator": "user:ada",
        "create_time": NOW,
        "expire_time": NOW + timedelta(days=1),
    }
    return Upload(**(given | values))


class Order:
    """A running digest for parts that are shorter than a block."""

    def __init__(self):
        self.taken = []

    def update(self, chunks):
        self.taken.append(b"".join(chunks))
        return hashlib.sha256(self.taken[-1]).digest()

    def hexdigest(self):
        return hashlib.sha256(b"".join(self.taken)).hexdigest()


class Shelf:
    """What `UploadStream` needs of a session: parts are kept here, or fail, or wait, as a test says."""

    def __init__(self, size_bytes, fails=()):
        self.upload = upload(size_bytes)
        self.persisted_size = 0
        self.next_part = 1
        self.stored = {}
        self.recorded = []
        self.gates = {}
        self.fails = dict(fails)
        self.finished = None
        self.hashing = PartHash(Order(), 1)

    def check(self, offset, chunks, checksums):
        for _ in verified(offset, chunks, checksums, self.persisted_size):
            pass

    def store_part(self, number, offset, chunks, checksums, size_bytes):
        self.check(offset, chunks, checksums)
        blocks = self.hashing.take(number, chunks)
        if number in self.gates:
            assert self.gates[number].wait(10)
        if number in self.fails:
            raise self.fails[number]
        self.stored[number] = (offset, b"".join(chunks))
        return UploadPart(number=number, size_bytes=size_bytes, etag="", block_digests=blocks)

    def record_part(self, part):
        self.recorded.append(part.number)
        self.persisted_size += part.size_bytes
        return self.persisted_size

    def give_up(self):
        self.hashing.fail()

    def finish(self, call, digest, tail, checksums):  # noqa: ARG002 -- the session's signature
        self.check(0, tail, checksums)
        self.finished = b"".join(tail)
        return self.upload


class Pool:
    """A pool of threads; `refuses` of its calls are turned away before they run."""

    def __init__(self, executor, refuses=()):
        self._executor = executor
        self.threads = 4
        self._calls = 0
        self._refuses = set(refuses)

    async def run(self, function, *args):
        self._calls += 1
        if self._calls in self._refuses:
            raise RegistryError(Reason.RATE_LIMITED, "too much is waiting")
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)


class Nobody:
    """An observer that does not care."""

    def upload_waited(self, on, seconds): ...

    def upload_began(self): ...

    def upload_received(self, size_bytes): ...

    def upload_ended(self, outcome, size_bytes, seconds, waited_s): ...


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as executor:
        yield executor


def streaming(shelf, threads, refuses=(), room=None):
    return UploadStream(shelf, Pool(threads, refuses), Pool(threads), Nobody(), room or TransferRoom(8, 8))


def message(offset, content, **fields):
    chunk = common_pb2.Chunk(content=content, crc32c=crc32c(content))
    chunk.ClearField("content")
    request = pb.WriteUploadRequest(name=str(NAME), write_offset=offset, chunk=chunk, **fields)
    return WriteMessage(request, memoryview(content))


def finish(content):
    digest = common_pb2.Digest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    return pb.WriteUploadRequest(write_offset=len(content), finish_write=True, digest=digest)


@pytest.mark.parametrize("step", [1, 3, 7, 9, 10, 11, 20, 33])
async def test_chunks_of_any_length_become_parts_that_meet_at_the_boundaries(threads, step):
    content = bytes(range(33))
    shelf = Shelf(33)
    stream = streaming(shelf, threads)

    for offset in range(0, 33, step):
        await stream.take(message(offset, content[offset : offset + step]))
    await stream.finish(finish(content), None)

    assert shelf.stored == {
        1: (0, content[:10]),
        2: (10, content[10:20]),
        3: (20, content[20:30]),
        4: (30, content[30:]),
    }
    assert shelf.recorded == [1, 2, 3, 4]


async def test_parts_are_gone_over_with_rests_while_another_stream_is_open(threads, monkeypatch):
    # A rest is in proportion to the bytes: of the ten of a part here it would be put off for ever.
    monkeypatch.setattr(unhurried, "REST_S", 0.005 * MIB / PART)
    took = {}
    for others in (0, 1):
        shelf, room = Shelf(2 * PART), TransferRoom(8, 8)
        with contextlib.ExitStack() as open_streams:
            for _ in range(others + 1):
                open_streams.enter_context(room.stream())
            stream = streaming(shelf, threads, room=room)
            began = time.monotonic()
            await stream.take(message(0, bytes(PART)))
            await stream.settle()
            took[others] = time.monotonic() - began
        assert shelf.stored == {1: (0, bytes(PART))}
    assert took[1] >= 0.015, took  # this shelf goes over the chunks three times
    assert took[0] < took[1]


async def test_a_file_of_one_part_goes_whole_with_the_finish(threads):
    shelf = Shelf(7)
    stream = streaming(shelf, threads)

    await stream.take(message(0, b"abc"))
    await stream.take(message(3, b"defg"))
    await stream.finish(finish(b"abcdefg"), None)

    assert shelf.finished == b"abcdefg"
    assert shelf.stored == {}


async def test_a_checksum_is_of_the_whole_chunk_also_when_a_boundary_cuts_it(threads):
    torn = message(5, b"0123456789")
    torn.request.chunk.crc32c ^= 1
    shelf = Shelf(30)
    stream = streaming(shelf, threads)
    await stream.take(message(0, b"abcde"))

    with pytest.raises(RegistryError) as caught:
        await stream.take(torn)

    assert (caught.value.reason, caught.value.facts["offset"]) == (Reason.CHUNK_CHECKSUM, "5")
    assert shelf.stored == {}


async def test_the_first_failure_is_the_one_that_is_told(threads):
    content = bytes(40)
    shelf = Shelf(40, fails={2: unavailable("part two"), 3: unavailable("part three")})
    # Part two is slow to fail, part three has failed before it.
    shelf.gates[2] = threading.Event()
    stream = streaming(shelf, threads)

    await stream.take(message(0, content[:10]))
    await stream.take(message(10, content[:10]))
    await stream.take(message(20, content[:10]))
    await asyncio.sleep(0)
    shelf.gates[2].set()
    with pytest.raises(RegistryError, match="part two"):
        await stream.settle()

    assert shelf.recorded == [1]


async def test_a_failure_is_told_at_the_next_message_and_not_only_at_the_end(threads):
    shelf = Shelf(100, fails={1: unavailable("part one")})
    stream = streaming(shelf, threads)
    await stream.take(message(0, bytes(10)))

    async def the_rest():
        for at in range(1, 10):
            await stream.take(message(10 * at, bytes(10)))

    with pytest.raises(RegistryError, match="part one"):
        await the_rest()
    with pytest.raises(RegistryError, match="part one"):
        await stream.settle()

    assert shelf.recorded == []


async def test_nobody_waits_for_a_part_that_was_turned_away_before_it_ran(threads):
    shelf = Shelf(40)
    stream = streaming(shelf, threads, refuses={2})

    async with asyncio.timeout(10):
        await stream.take(message(0, bytes(10)))
        await stream.take(message(10, bytes(10)))
        with pytest.raises(RegistryError) as caught:
            await stream.settle()

    assert caught.value.reason is Reason.RATE_LIMITED
    # No thread of the pool is left waiting for its turn.
    async with asyncio.timeout(10):
        await asyncio.gather(*(asyncio.to_thread(lambda: None) for _ in range(4)))
        threads.shutdown(wait=True)


async def test_no_more_than_three_parts_are_on_their_way_while_the_store_is_slow(threads):
    shelf = Shelf(100)
    shelf.gates = {number: threading.Event() for number in range(1, 11)}
    stream = streaming(shelf, threads)
    for offset in (0, 10, 20):
        await stream.take(message(offset, bytes(10)))

    fourth = asyncio.ensure_future(stream.take(message(30, bytes(10))))
    done, _ = await asyncio.wait([fourth], timeout=0.2)

    assert not done
    for gate in shelf.gates.values():
        gate.set()
    await fourth
    await stream.settle()
    assert shelf.recorded == [1, 2, 3, 4]


async def test_the_client_waits_with_most_of_a_part_behind_three(threads):
    shelf = Shelf(100)
    shelf.gates = {number: threading.Event() for number in range(1, 11)}
    stream = streaming(shelf, threads)
    await stream.take(message(0, bytes(30)))
    await stream.take(message(30, bytes(2)))

    third = asyncio.ensure_future(stream.take(message(32, bytes(1))))
    done, _ = await asyncio.wait([third], timeout=0.2)

    assert not done
    for gate in shelf.gates.values():
        gate.set()
    await third
    await stream.take(message(33, bytes(7)))
    await stream.settle()
    assert shelf.recorded == [1, 2, 3, 4]


async def test_streams_share_the_room_for_parts_that_are_stored(threads):
    first, second, room = Shelf(40), Shelf(40), TransferRoom(2, 2)
    first.gates = {number: threading.Event() for number in (1, 2)}
    greedy, other = streaming(first, threads, room=room), streaming(second, threads, room=room)
    for offset in (0, 10):
        await greedy.take(message(offset, bytes(10)))

    # Less than a part takes no room, a whole one waits for it; what stored ones leave is taken in turn.
    await other.take(message(0, bytes(9)))
    waits = asyncio.ensure_future(other.take(message(9, bytes(1))))
    done, _ = await asyncio.wait([waits], timeout=0.2)
    assert not done
    first.gates[1].set()
    await waits
    await other.settle()
    assert (first.recorded, second.recorded) == ([1], [1])
    first.gates[2].set()
    await greedy.settle()
    assert room.taken == 0


async def test_a_part_that_fails_leaves_its_room(threads):
    room = TransferRoom(1, 1)
    stream = streaming(Shelf(40, fails={1: unavailable("part one")}), threads, room=room)
    await stream.take(message(0, bytes(10)))
    with pytest.raises(RegistryError, match="part one"):
        await stream.settle()
    assert room.taken == 0


async def test_tiny_chunks_are_held_as_a_few_large_ones(threads):
    shelf = Shelf(3 << 20)
    shelf.upload = replace(shelf.upload, part_bytes=16 << 20, store_upload="")
    stream = streaming(shelf, threads)

    for offset in range(0, 3 << 20, 1000):
        await stream.take(message(offset, bytes(min(1000, (3 << 20) - offset))))

    assert len(stream._chunks) <= 3
    await stream.finish(finish(bytes(3 << 20)), None)
    assert shelf.finished == bytes(3 << 20)


async def test_the_checksum_of_a_tiny_chunk_is_checked_when_it_comes(threads):
    stream = streaming(Shelf(30), threads)
    await stream.take(message(0, b"abc"))
    wrong = message(3, b"def")
    wrong.request.chunk.crc32c ^= 1

    with pytest.raises(RegistryError) as caught:
        await stream.take(wrong)

    assert (caught.value.reason, caught.value.facts["offset"]) == (Reason.CHUNK_CHECKSUM, "3")


async def test_signs_of_life_are_free_up_to_a_limit(threads):
    stream = streaming(Shelf(30), threads)
    alive = WriteMessage(pb.WriteUploadRequest(), b"")
    for _ in range(MAX_EMPTY_CHUNKS):
        await stream.take(alive)

    with pytest.raises(RegistryError) as caught:
        await stream.take(alive)

    assert caught.value.reason is Reason.RATE_LIMITED


class Gated(Session):
    """A session whose completion waits for the test."""

    def __init__(self, row):
        super().__init__(self, row, ())
        self.began, self.go_on = asyncio.Event(), threading.Event()
        self.loop = asyncio.get_running_loop()
        self.is_finished = False

    new_digest = PartHasher
    upload_retention = timedelta(days=1)

    def finish(self, call, digest, tail=(), checksums=()):  # noqa: ARG002 -- the session's signature
        self.loop.call_soon_threadsafe(self.began.set)
        assert self.go_on.wait(10)
        self.is_finished = True
        return replace(self.upload, state=UploadState.COMMITTED)


class Opened:
    """A writer that always opens the one session."""

    def __init__(self, session):
        self._session = session

    def open(self, name, uploader):  # noqa: ARG002 -- the writer's signature
        return self._session


async def test_a_cancel_while_it_completes_does_not_stop_it(threads):
    session = Gated(upload(3))
    uploads = Uploads(
        writer=Opened(session), transfer=Pool(threads), control=Pool(threads), observer=Nobody(), max_open=1
    )

    async def messages():
        yield message(0, b"abc")
        yield WriteMessage(finish(b"abc"), b"")

    ada = Principal("user:ada")
    contexts.enter(contexts.CallContext("ArtifactService.WriteUpload", "id", ada, authority=everything_to("user:ada")))
    call = asyncio.ensure_future(uploads.receive(messages()))
    await session.began.wait()

    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    assert not session.is_finished
    session.go_on.set()
    await uploads.drain()

    assert call.cancelled()
    assert session.is_finished
