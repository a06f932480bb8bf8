"""Uploads while the store is slow, full, busy, or dies before it answers: refused in time, resumable, never wrong."""

import collections
import contextlib
import itertools
from pathlib import Path

import pytest

from registry_grpc.domain.garbage import MARKER_KEY
from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit import engines
from tests.kit.proxy import Proxy
from tests.kit.s3_faults import Fault, UnwellStore
from tests.kit.server import distributed, running
from tests.kit.uploads import MIB, PART, Content, Registry, refused, stream
from tests.kit.waiting import until
from tests.promises.uploads.world import EMBEDDED, world

SIZE = 2 * PART + MIB
ACTIVE, COMMITTED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_COMMITTED
BUSY = Fault(503, "SlowDown")
FULL = Fault(507, "XMinioStorageFull")
LOST = Fault(0, "", is_after=True)


@contextlib.contextmanager
def behind(store, bucket, url):
    """A server that reaches its bucket through `store`."""
    through = engines.Bucket(store.endpoint, bucket.access_key, bucket.secret_key, bucket.name)
    with running(distributed(url, through)) as server:
        yield Registry.of(server)


@pytest.fixture
def unwell(minio_bucket, postgres_url):
    with UnwellStore(minio_bucket.endpoint) as store, behind(store, minio_bucket, postgres_url) as registry:
        yield store, registry


def is_part(method, query):
    return method == "PUT" and "partNumber=" in query


def is_complete(method, query):
    return method == "POST" and "uploadId=" in query


def number_of(query):
    return next(each.partition("=")[2] for each in query.split("&") if each.startswith("partNumber="))


def must_resume(registry, version, name, content):
    """The upload goes on from what is safe, and is what it should be."""
    upload = registry.upload(name)
    done = registry.write(stream(name, content, upload.persisted_size))
    assert (done.state, done.artifact.digest) == (COMMITTED, content.digest)
    assert registry.read(done.artifact.name) == content.whole
    assert len(registry.state(version)[1]) == 1


def test_a_part_is_sent_five_times_through_a_burst_of_503_and_the_upload_succeeds(unwell):
    store, registry = unwell
    content = Content(SIZE)
    tries = collections.Counter()

    def judge(method, query):
        if not is_part(method, query):
            return None
        tries[number_of(query)] += 1
        return BUSY if tries[number_of(query)] < 5 else None

    store.judge = judge

    artifact = registry.push(registry.draft(), "model.bin", content)

    assert tries == {"1": 5, "2": 5, "3": 5}
    assert registry.read(artifact.name) == content.whole


def test_a_store_that_stays_busy_is_asked_five_times_and_the_upload_waits_for_it(unwell):
    store, registry = unwell
    content = Content(SIZE)
    version = registry.draft()
    name = registry.start(version, "model.bin", SIZE).name
    # The second part: the first is safe.
    store.judge = lambda method, query: BUSY if is_part(method, query) and number_of(query) == "2" else None

    refusal = refused(lambda: registry.write(stream(name, content)))

    assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert refusal.retry_s
    assert sum(is_part(*each) and number_of(each[1]) == "2" for each in store.seen) == 5
    assert registry.upload(name).persisted_size == PART
    store.judge = lambda *_: None
    must_resume(registry, version, name, content)


def test_a_full_bucket_is_resource_exhausted_and_the_upload_goes_on_when_there_is_room(unwell):
    store, registry = unwell
    content = Content(SIZE)
    version = registry.draft()
    name = registry.start(version, "model.bin", SIZE).name
    store.judge = lambda method, query: FULL if is_part(method, query) and number_of(query) == "2" else None

    refusal = refused(lambda: registry.write(stream(name, content)))

    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    # A full disk is not asked again.
    assert sum(is_part(*each) and number_of(each[1]) == "2" for each in store.seen) == 1
    assert (registry.upload(name).state, registry.upload(name).persisted_size) == (ACTIVE, PART)
    store.judge = lambda *_: None
    must_resume(registry, version, name, content)


@pytest.mark.parametrize("size_bytes", [100_000, SIZE])
def test_a_full_directory_is_resource_exhausted_and_the_upload_goes_on_when_there_is_room(
    service_environment, size_bytes
):
    content = Content(size_bytes)
    # In the file of one part the first write is its bytes; else the first is the empty file that parts go into.
    # Two writes before are of the mark that says whose the store is.
    nth = 3 if size_bytes < PART else 6
    with world(EMBEDDED, service_environment, f"store.file.write=oserror(28)@{nth}") as place:
        until(lambda: MARKER_KEY in place.everything(), 30)
        registry = place.registry
        version = registry.draft()
        name = registry.start(version, "model.bin", size_bytes).name

        refusal = refused(lambda: registry.write(stream(name, content)))

        assert place.server.fired["store.file.write"] == 1
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
        assert "space" in refusal.text
        assert registry.state(version)[1] == []
        must_resume(registry, version, name, content)
        assert place.under_way() == []


@pytest.mark.parametrize("losses", [1, 100])
def test_a_completion_whose_answer_is_lost_is_found_done_when_it_is_repeated(unwell, minio_bucket, losses):
    store, registry = unwell
    content = Content(SIZE)
    version = registry.draft()
    name = registry.start(version, "model.bin", SIZE).name
    count = itertools.count(1)
    store.judge = lambda method, query: LOST if is_complete(method, query) and next(count) <= losses else None

    if losses > 1:
        # It never gets an answer: the caller is told so, although the store has the object.
        refusal = refused(lambda: registry.write(stream(name, content)))
        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert registry.state(version)[1] == []
        store.judge = lambda *_: None
        assert registry.upload(name).persisted_size == SIZE
    must_resume(registry, version, name, content)

    # The second completion was refused by the store; size and upload id of what is there decided.
    assert sum(is_complete(*each) for each in store.seen) >= 2
    assert any(method == "HEAD" for method, _ in store.seen)
    assert [each.size for each in files_in(minio_bucket)] == [SIZE]


def files_in(bucket):
    found = bucket.client().list_objects(bucket_name=bucket.name, recursive=True)
    return [each for each in found if each.object_name != MARKER_KEY]


def test_a_small_file_whose_answer_is_lost_is_stored_once(minio_bucket, postgres_url):
    content = Content(100_000)
    with Proxy(minio_bucket.endpoint) as proxy, behind(proxy, minio_bucket, postgres_url) as registry:
        version = registry.draft()
        name = registry.start(version, "model.bin", content.size_bytes).name
        proxy.fault(swallow_replies=True)
        sent = proxy.sent
        call = registry.writing(stream(name, content))

        def objects():
            return files_in(minio_bucket)

        until(lambda: proxy.sent > sent + content.size_bytes and objects(), 20)
        proxy.heal()
        proxy.cut()
        with contextlib.suppress(Exception):
            call.result(timeout=30)

        must_resume(registry, version, name, content)
        assert [each.size for each in objects()] == [content.size_bytes]


def resident_mib(pid):
    """Memory of a process now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / MIB


def test_a_slow_store_slows_the_client_and_not_the_memory(minio_bucket, postgres_url):
    content = Content(160 * MIB)
    with Proxy(minio_bucket.endpoint) as proxy, behind(proxy, minio_bucket, postgres_url) as registry:
        # Warm: what a first upload allocates is not this one's.
        registry.push(registry.draft(), "warm.bin", Content(3 * PART))
        version = registry.draft()
        name = registry.start(version, "model.bin", content.size_bytes).name
        pid = registry.server.process.pid
        before, highest = resident_mib(pid), 0.0
        proxy.fault(bytes_per_s=2.0 * MIB)
        call = registry.writing(stream(name, content), timeout_s=6)
        while not call.done():
            highest = max(highest, resident_mib(pid))
            with contextlib.suppress(Exception):
                call.result(timeout=0.1)

        assert refused(call.result).code == "DEADLINE_EXCEEDED"
        # Three parts on their way, a quarter of the next, and 4 MiB in the transport.
        assert highest - before <= 64
        assert registry.upload(name).state == ACTIVE
        assert registry.state(version)[1] == []
        proxy.heal()
        upload = registry.write(stream(name, content, registry.upload(name).persisted_size))
        assert upload.artifact.digest == content.digest
