"""How uploads end: finished, finished twice, aborted, cancelled, by two writers at once."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import (
    DEPLOYMENTS,
    MIB,
    PART,
    Content,
    Held,
    Registry,
    deployed,
    eventually,
    outcome,
    part_of_stream,
    refused,
    stream,
)

ACTIVE, COMMITTED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_COMMITTED
SMALL = 100_000
"""Bytes of a file that fits one part."""
LONG = PART + 1000
"""Bytes of a file of two parts."""


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


def test_finishing_twice_gives_the_same_answer(registry):
    content = Content(SMALL)
    version = registry.draft()
    name = registry.start(version, "model.bin", SMALL).name
    first = registry.write(stream(name, content))
    before = registry.state(version)

    again = registry.write(stream(name, content))

    assert again == first
    assert registry.state(version) == before


@pytest.mark.parametrize("size_bytes", [SMALL, LONG])
def test_finishing_on_two_channels_at_once_commits_once_and_both_agree_in_the_end(registry, size_bytes):
    content = Content(size_bytes)
    version = registry.draft()
    name = registry.start(version, "model.bin", size_bytes).name
    registry.write(part_of_stream(name, content, 0, size_bytes))
    others = [Registry.of(registry.server) for _ in range(2)]
    barrier = threading.Barrier(2)

    def finishing(one):
        persisted = one.upload(name).persisted_size
        barrier.wait(10)
        for attempt in range(8):
            found = outcome(lambda: one.write(stream(name, content, persisted)))
            if isinstance(found, pb.Upload):
                return found
            # The newer call took the upload over: a client backs off, or two could do this to each other for ever.
            assert found.reason == "UPLOAD_SUPERSEDED"
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise AssertionError("still superseded after eight attempts")

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(finishing, others)

    assert one == other
    assert one.state == COMMITTED
    assert len(registry.state(version)[1]) == 1
    assert registry.read(one.artifact.name) == content.whole
    for channel in others:
        channel.api.close()


def test_two_writers_with_other_bytes_of_one_size_never_commit_a_mixture(registry):
    version = registry.draft()
    contents = [Content(SMALL), Content(SMALL)]
    for attempt in range(10):
        name = registry.start(version, f"model-{attempt}.bin", SMALL).name
        barrier = threading.Barrier(2)

        def writing(content, name=name, barrier=barrier):
            barrier.wait(10)
            found = outcome(lambda: registry.write(stream(name, content)))
            allowed = {"UPLOAD_SUPERSEDED", "DIGEST_MISMATCH", "UPLOAD_CLOSED"}
            assert isinstance(found, pb.Upload) or found.reason in allowed

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(writing, contents))
        upload = registry.upload(name)
        if upload.state == COMMITTED:
            found = registry.read(upload.artifact.name)
            assert hashlib.sha256(found).hexdigest() == upload.artifact.digest.sha256


ABORTS = ("cancel", "deadline", "channel close")


@pytest.mark.parametrize("how", ABORTS)
def test_twenty_aborted_streams_commit_nothing_and_can_all_go_on(registry, how):
    version = registry.draft()
    contents = [Content(2 * MIB) for _ in range(20)]
    names = [registry.start(version, f"{at}.bin", 2 * MIB).name for at in range(20)]
    before = registry.state(version)
    writers = [Registry.of(registry.server) if how == "channel close" else registry for _ in names]
    streams = [
        Held(part_of_stream(name, content, 0, content.size_bytes))
        for name, content in zip(names, contents, strict=True)
    ]
    timeout_s = 1.5 if how == "deadline" else 60

    calls = [writer.writing(held, timeout_s) for writer, held in zip(writers, streams, strict=True)]
    eventually(lambda: all(held.sent == 2 for held in streams))
    for writer, call in zip(writers, calls, strict=True):
        if how == "cancel":
            call.cancel()
        elif how == "channel close":
            writer.api.close()
    codes = {_code(call) for call in calls}
    for held in streams:
        held.let_go()

    assert codes == {"DEADLINE_EXCEEDED" if how == "deadline" else "CANCELLED"}
    assert {registry.upload(name).state for name in names} == {ACTIVE}
    assert registry.state(version) == before
    for name, content in zip(names, contents, strict=True):
        assert registry.write(stream(name, content)).state == COMMITTED


def _code(call):
    try:
        call.result(timeout=20)
    except (grpc.RpcError, grpc.FutureCancelledError):
        return call.code().name
    return "OK"


def test_a_cancel_right_behind_finish_tears_nothing(registry):
    version = registry.draft()
    content = Content(LONG)
    name = registry.start(version, "model.bin", LONG).name
    held = Held(stream(name, content))
    call = registry.writing(held)
    eventually(lambda: held.sent == 18)

    call.cancel()
    held.let_go()

    # Either the finish arrived, and completes, or it did not, and the upload rests.
    deadline = time.monotonic() + 1.0
    while registry.upload(name).state != COMMITTED and time.monotonic() < deadline:
        time.sleep(0.02)
    upload = registry.write(stream(name, content, registry.upload(name).persisted_size))
    assert registry.read(upload.artifact.name) == content.whole
    assert len(registry.state(version)[1]) == 1


def test_cancelling_an_upload_ends_it_for_good(registry):
    content = Content(LONG)
    version = registry.draft()
    name = registry.start(version, "model.bin", LONG).name
    registry.write(part_of_stream(name, content, 0, PART))

    cancelled = registry.cancel(name)

    assert cancelled.state == pb.Upload.STATE_CANCELLED
    assert registry.cancel(name) == cancelled
    refusal = refused(lambda: registry.write(stream(name, content)))
    assert (refusal.code, refusal.reason, refusal.facts["state"]) == (
        "FAILED_PRECONDITION",
        "UPLOAD_CLOSED",
        "CANCELLED",
    )
    assert registry.state(version)[1] == []


def test_cancelling_under_an_open_stream_ends_the_stream(registry):
    content = Content(2 * LONG)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    held = Held(part_of_stream(name, content, 0, PART))
    call = registry.writing(held)
    eventually(lambda: registry.upload(name).persisted_size == PART)

    registry.cancel(name)
    held.let_go()
    late = registry.upload(name)

    assert call.result(timeout=20).state in {ACTIVE, pb.Upload.STATE_CANCELLED}
    assert late.state == pb.Upload.STATE_CANCELLED
    assert refused(lambda: registry.write(stream(name, content))).reason == "UPLOAD_CLOSED"
