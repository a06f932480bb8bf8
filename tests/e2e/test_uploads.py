"""Streams of every legal shape come back as they were; the end of a stream alone completes nothing."""

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import (
    DEPLOYMENTS,
    PART,
    Content,
    Registry,
    deployed,
    finish,
    message,
    part_of_stream,
    refused,
    stream,
)

ACTIVE, FAILED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_FAILED
SMALL = 100_000
"""Bytes of a file that fits one part."""
LONG = PART + 1000
"""Bytes of a file of two parts."""


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


SIZES = (0, 1, PART - 1, PART, PART + 1, 3 * PART)


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("size_bytes", SIZES)
def test_files_of_every_size_round_the_part_boundary_come_back_as_they_were(registry, size_bytes):
    content = Content(size_bytes)

    artifact = registry.push(registry.draft(), "weights/model.bin", content)

    assert artifact.digest == content.digest
    assert registry.read(artifact.name) == content.whole


@pytest.mark.promise("P14", "uploads")
def test_empty_chunks_are_signs_of_life(registry):
    content = Content(SMALL)
    name = registry.start(registry.draft(), "model.bin", SMALL).name
    alive = [pb.WriteUploadRequest(name=name, write_offset=0)] * 3000

    upload = registry.write([*alive, *stream(name, content)])

    assert upload.artifact.digest == content.digest


@pytest.mark.promise("P14", "uploads")
def test_chunks_of_one_byte_are_put_together(registry):
    content = Content(20_000)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    bytes_alone = (message(name, at, content[at : at + 1]) for at in range(content.size_bytes))

    upload = registry.write([*bytes_alone, finish(name, content)])

    assert registry.read(upload.artifact.name) == content.whole


def test_a_wrong_checksum_among_tiny_chunks_is_found(registry):
    content = Content(1000)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    sent = [message(name, at, content[at : at + 1]) for at in range(content.size_bytes)]
    sent[500].chunk.crc32c ^= 1

    refusal = refused(lambda: registry.write([*sent, finish(name, content)]))

    assert (refusal.reason, refusal.facts["offset"]) == ("CHUNK_CHECKSUM", "500")


def test_chunks_that_lie_across_part_boundaries_are_stored_where_they_belong(registry):
    content = Content(2 * PART + 12_345)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    step = 1_999_993
    odd = (message(name, at, content[at : at + step]) for at in range(0, content.size_bytes, step))

    upload = registry.write([*odd, finish(name, content)])

    assert registry.read(upload.artifact.name) == content.whole


def test_bytes_that_are_persisted_already_are_skipped(registry):
    content = Content(LONG)
    name = registry.start(registry.draft(), "model.bin", LONG).name
    registry.write(part_of_stream(name, content, 0, PART))
    # 300 kB of it overlap what is held, in a chunk that goes on beyond it.
    behind = PART - 300_000

    upload = registry.write([message(name, behind, content[behind:]), finish(name, content)])

    assert registry.read(upload.artifact.name) == content.whole


def test_other_bytes_behind_the_persisted_size_are_for_the_digest_to_decide(registry):
    content, other = Content(LONG), Content(LONG)
    version = registry.draft()
    name = registry.start(version, "model.bin", LONG).name
    registry.write(part_of_stream(name, content, 0, PART))

    refusal = refused(lambda: registry.write([*part_of_stream(name, other, 0, LONG), finish(name, other)]))

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    assert registry.upload(name).state == FAILED
    assert registry.state(version)[1] == []


def test_the_end_of_a_stream_without_finish_leaves_the_upload_active(registry):
    content = Content(LONG)
    version = registry.draft()
    name = registry.start(version, "model.bin", LONG).name

    all_sent = registry.write(part_of_stream(name, content, 0, LONG))

    assert (all_sent.state, all_sent.persisted_size) == (ACTIVE, LONG)
    assert registry.state(version)[1] == []
    assert registry.write([finish(name, content)]).artifact.digest == content.digest
