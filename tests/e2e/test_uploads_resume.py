"""Uploads survive the death of the client, of the server, and of the other client that did the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import (
    DEPLOYMENTS,
    MIB,
    PART,
    Content,
    Held,
    Refusal,
    Registry,
    deployed,
    eventually,
    finish,
    outcome,
    part_of_stream,
    refused,
    stream,
)

COMMITTED = pb.Upload.STATE_COMMITTED
ROOT = Path(__file__).parents[2]
_CLIENT = """
import sys, time
import grpc
from registry_grpc.v1 import artifacts_pb2_grpc
from tests.kit.server import WithToken
from tests.kit.uploads import Content, part_of_stream

endpoint, token, name, size, seed, stop = sys.argv[1:]

def messages():
    yield from part_of_stream(name, Content(int(size), int(seed)), 0, int(stop))
    print("sent", flush=True)
    time.sleep(60)

channel = grpc.intercept_channel(grpc.insecure_channel(endpoint), WithToken(token))
artifacts_pb2_grpc.ArtifactServiceStub(channel).WriteUpload(messages())
"""


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


def counted(messages, sizes):
    for message in messages:
        sizes.append(len(message.chunk.content))
        yield message


def test_an_upload_whose_client_was_killed_goes_on_from_the_last_whole_part(registry):
    content = Content(200 * MIB)
    version = registry.draft()
    name = registry.start(version, "model.bin", content.size_bytes).name
    server = registry.server
    arguments = [server.endpoint, server.token, name, str(content.size_bytes), str(content.seed), str(104 * MIB)]
    client = subprocess.Popen([sys.executable, "-c", _CLIENT, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "sent\n"
    eventually(lambda: registry.upload(name).persisted_size == 96 * MIB)

    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    client.stdout.close()
    persisted = registry.upload(name).persisted_size
    sizes = []
    upload = registry.write(counted(stream(name, content, persisted), sizes))

    assert persisted == 96 * MIB
    assert sum(sizes) == 104 * MIB
    assert upload.artifact.digest == content.digest
    assert (
        registry.read(upload.artifact.name, read_offset=90 * MIB, read_limit=20 * MIB) == content[90 * MIB : 110 * MIB]
    )


def test_a_newer_writer_supersedes_the_open_one_and_the_bytes_are_intact(registry):
    content = Content(4 * PART)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    old = Held([*part_of_stream(name, content, 0, 2 * PART)])
    call = registry.writing(old)
    eventually(lambda: registry.upload(name).persisted_size == 2 * PART)

    upload = registry.write(stream(name, content, 2 * PART))
    old.let_go()

    assert upload.artifact.digest == content.digest
    assert registry.read(upload.artifact.name) == content.whole
    assert call.result(timeout=20).state != pb.Upload.STATE_FAILED


def test_the_writer_that_was_superseded_is_told_so_at_its_next_part(registry):
    content, other = Content(4 * PART), Content(4 * PART)
    started = registry.start(registry.draft(), "model.bin", content.size_bytes)
    name = started.name
    go_on = Held([])

    def old_messages():
        yield from part_of_stream(name, other, 0, PART // 2)
        yield from go_on
        yield from part_of_stream(name, other, PART // 2, 4 * PART)
        yield finish(name, other)

    call = registry.writing(old_messages())
    # Taking an upload over puts its expiry off: by that we see that the old writer is in.
    eventually(lambda: registry.upload(name).expire_time != started.expire_time)
    newer = registry.write(part_of_stream(name, content, 0, PART))
    go_on.let_go()

    refusal = refused(lambda: call.result(timeout=20))
    assert (refusal.code, refusal.reason) == ("ABORTED", "UPLOAD_SUPERSEDED")
    assert newer.persisted_size == PART
    # What the old one may have stored over it is for the digest to decide: never a mixture.
    found = outcome(lambda: registry.write(stream(name, content, PART)))
    if isinstance(found, Refusal):
        assert found.reason in {"DIGEST_MISMATCH", "UPLOAD_CLOSED"}
    else:
        assert registry.read(found.artifact.name) == content.whole


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_an_upload_goes_on_after_the_server_was_killed(kind, service_environment):
    content = Content(5 * PART + 1)
    with deployed(kind, service_environment) as server:
        registry = Registry.of(server)
        version = registry.draft()
        name = registry.start(version, "model.bin", content.size_bytes).name
        held = Held(part_of_stream(name, content, 0, 2 * PART + MIB))
        call = registry.writing(held)
        acknowledged = eventually(lambda: registry.upload(name).persisted_size)

        server.kill()
        held.let_go()
        assert refused(lambda: call.result(timeout=20)).code in {"UNAVAILABLE", "CANCELLED"}
        server.start()
        registry = Registry.of(server)
        persisted = registry.upload(name).persisted_size
        sizes = []
        upload = registry.write(counted(stream(name, content, persisted), sizes))

        assert persisted % PART == 0
        assert persisted >= acknowledged
        assert sum(sizes) == content.size_bytes - persisted
        assert upload.artifact.digest == content.digest
        assert registry.read(upload.artifact.name) == content.whole


@pytest.mark.parametrize("size_bytes", [100_000, 2 * PART])
@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_a_server_killed_while_it_completes_leaves_an_upload_that_can_be_finished(
    kind, size_bytes, service_environment
):
    with deployed(kind, service_environment) as server:
        registry = Registry.of(server)
        version = registry.draft()
        contents = [Content(size_bytes) for _ in range(3)]
        names = [registry.start(version, f"{at}.bin", size_bytes).name for at in range(3)]
        for name, content in zip(names, contents, strict=True):
            registry.write(part_of_stream(name, content, 0, size_bytes))
        persisted = [registry.upload(name).persisted_size for name in names]

        calls = [
            registry.writing(stream(name, content, held))
            for name, content, held in zip(names, contents, persisted, strict=True)
        ]
        eventually(lambda: any(registry.upload(name).state != pb.Upload.STATE_ACTIVE for name in names))
        server.kill()
        for call in calls:
            ended = outcome(lambda call=call: call.result(timeout=20))
            assert isinstance(ended, pb.Upload) or ended.code in {"UNAVAILABLE", "CANCELLED"}
        server.start()
        registry = Registry.of(server)

        for name, content in zip(names, contents, strict=True):
            found = registry.upload(name)
            upload = registry.write(stream(name, content, found.persisted_size))
            assert upload.state == COMMITTED
            assert registry.read(upload.artifact.name) == content.whole
        assert len(registry.state(version)[1]) == 3
        assert registry.finalize(version).file_count == 3
