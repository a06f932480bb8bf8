"""P02, P03: two replicas over one PostgreSQL and one bucket do the same thing to one upload, or one version."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.deployments import two_replicas
from tests.kit.uploads import MIB, PART, Content, Held, Refusal, Registry, outcome, part_of_stream, stream
from tests.kit.waiting import until
from tests.promises.uploads.world import rehash

SIZE = 2 * PART + MIB
COMMITTED = pb.Upload.STATE_COMMITTED


@pytest.fixture(scope="module")
def replicas(service_environment):
    with two_replicas(service_environment) as servers:
        yield servers


@pytest.fixture
def registries(replicas):
    return [Registry.of(server) for server in replicas]


def both(registries, do):
    """What `do(registry)` comes to on each replica, begun at one moment."""
    barrier = threading.Barrier(len(registries))

    def run(registry):
        barrier.wait(10)
        return outcome(lambda: do(registry))

    with ThreadPoolExecutor(len(registries)) as threads:
        return list(threads.map(run, registries))


def test_an_upload_is_resumed_on_the_other_replica_and_the_first_writer_is_refused(registries):
    one, other = registries
    content = Content(SIZE)
    name = one.start(one.draft(), "model.bin", SIZE).name
    go_on = Held([])

    def first_messages():
        yield from part_of_stream(name, content, 0, PART + MIB)
        yield from go_on
        yield from stream(name, content, PART + MIB)

    first = one.writing(first_messages())
    until(lambda: other.upload(name).persisted_size == PART, 20)

    upload = other.write(stream(name, content, PART))
    go_on.let_go()
    late = outcome(lambda: first.result(timeout=30))

    assert (upload.state, upload.artifact.digest) == (COMMITTED, content.digest)
    # The rest of the first writer is refused; nothing of it can reach a committed object.
    assert isinstance(late, Refusal)
    assert late.reason in {"UPLOAD_SUPERSEDED", "UPLOAD_CLOSED"}
    assert one.read(upload.artifact.name) == other.read(upload.artifact.name) == content.whole


@pytest.mark.parametrize("size_bytes", [100_000, SIZE])
def test_finish_on_two_replicas_at_once_gives_one_file_and_both_the_same_answer(registries, size_bytes):
    content = Content(size_bytes)
    version = registries[0].draft()
    for attempt in range(4):
        path = f"{attempt}.bin"
        name = registries[0].start(version, path, size_bytes).name
        registries[0].write(part_of_stream(name, content, 0, size_bytes))

        def finishing(registry, name=name):
            # A client that is told that another took over looks, and tries again.
            for _ in range(20):
                persisted = registry.upload(name).persisted_size
                found = outcome(lambda: registry.write(stream(name, content, persisted)))  # noqa: B023
                if isinstance(found, pb.Upload) or found.reason != "UPLOAD_SUPERSEDED":
                    return found
            return found

        one, other = both(registries, finishing)

        assert isinstance(one, pb.Upload), one
        assert one == other
        assert one.state == COMMITTED
        assert [file[0] for file in registries[0].state(version)[1]].count(path) == 1
        assert registries[1].read(one.artifact.name) == content.whole


@pytest.mark.promise("P02", "two finalizers")
def test_finalize_on_two_replicas_at_once_freezes_once_and_both_say_the_same(registries):
    content = Content(200_000)
    for _ in range(6):
        version = registries[0].draft()
        registries[0].push(version, "model.bin", content)

        one, other = both(registries, lambda registry: registry.finalize(version))  # noqa: B023

        assert one == other
        assert one.manifest_digest
        assert rehash(registries[0], version) == rehash(registries[1], version) == 1


@pytest.mark.promise("P02", "two finalizers")
def test_an_upload_on_one_replica_and_finalize_on_the_other_end_in_one_order(registries):
    one, other = registries
    for _ in range(6):
        version = one.draft()
        one.push(version, "config.json", Content(1000))
        content = Content(PART + MIB)
        name = one.start(version, "model.bin", content.size_bytes).name
        one.write(part_of_stream(name, content, 0, PART))

        with ThreadPoolExecutor(2) as threads:
            writing = threads.submit(lambda: outcome(lambda: one.write(stream(name, content, PART))))  # noqa: B023
            freezing = threads.submit(lambda: outcome(lambda: other.finalize(version)))  # noqa: B023
            upload, frozen = writing.result(), freezing.result()

        assert isinstance(upload, pb.Upload), upload
        if isinstance(frozen, Refusal):
            assert frozen.reason == "UPLOADS_OPEN"
            frozen = other.finalize(version)
        assert frozen.file_count == 2
        assert rehash(other, version) == 2
