"""Streams that break the contract, by mistake or on purpose: each is refused by name, and nothing changes."""

import hashlib
from dataclasses import dataclass, field

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2
from tests.kit.uploads import (
    DEPLOYMENTS,
    MIB,
    PART,
    Content,
    Registry,
    chunk,
    deployed,
    finish,
    message,
    part_of_stream,
    refused,
    stream,
)

ACTIVE, COMMITTED, FAILED = pb.Upload.STATE_ACTIVE, pb.Upload.STATE_COMMITTED, pb.Upload.STATE_FAILED
SMALL = 100_000
"""Bytes of a file that fits one part."""
LONG = PART + 1000
"""Bytes of a file of two parts."""
MAX_EMPTY_CHUNKS = 10_000


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


@dataclass(frozen=True)
class Write:
    """A WriteUpload that is refused, what the client is told, and what the upload is afterwards."""

    messages: object
    code: str
    reason: str
    size_bytes: int = SMALL
    held: int = 0
    """Bytes that were persisted by an earlier stream."""
    fields: tuple = ()
    facts: dict = field(default_factory=dict)
    state: int = ACTIVE


def two(first, second):
    return lambda name, content: [first(name, content), second(name, content)]


def head(name, content):
    return message(name, 0, content[0:1000])


WRONG = hashlib.sha256(b"wrong").hexdigest()
NAMELESS = "projects/default/uploads/00000000-0000-4000-8000-000000000000"
WRITES = {
    "nothing": Write(lambda *_: [], "INVALID_ARGUMENT", "INVALID_FIELD", fields=("name",)),
    "data before a name": Write(
        lambda _, content: [message("", 0, content.whole)],
        "INVALID_ARGUMENT",
        "INVALID_RESOURCE_NAME",
        fields=("name",),
    ),
    "name of something else": Write(
        lambda _, content: [message("projects/default/models/m", 0, content.whole)],
        "INVALID_ARGUMENT",
        "INVALID_RESOURCE_NAME",
        fields=("name",),
    ),
    "name of no upload": Write(
        lambda _, content: [message(NAMELESS, 0, content.whole)], "NOT_FOUND", "UPLOAD_NOT_FOUND"
    ),
    "name that changes": Write(
        two(head, lambda _, content: message(NAMELESS, 1000, content[1000:2000])),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        fields=("name",),
    ),
    "offset ahead": Write(
        lambda name, content: [message(name, 1, content[1:])],
        "OUT_OF_RANGE",
        "OFFSET_AHEAD",
        facts={"persistedSize": "0"},
    ),
    "offset ahead of a part": Write(
        lambda name, content: [message(name, PART + 1, content[PART + 1 :])],
        "OUT_OF_RANGE",
        "OFFSET_AHEAD",
        size_bytes=LONG,
        held=PART,
        facts={"persistedSize": str(PART)},
    ),
    "hole between chunks": Write(
        two(head, lambda name, content: message(name, 1001, content[1001:])),
        "OUT_OF_RANGE",
        "OFFSET_AHEAD",
        facts={"persistedSize": "0"},
    ),
    "chunk sent twice": Write(two(head, head), "INVALID_ARGUMENT", "INVALID_FIELD", fields=("write_offset",)),
    "negative offset": Write(
        lambda name, content: [message(name, -1, content.whole)],
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        fields=("write_offset",),
    ),
    "chunk over 2 MiB": Write(
        lambda name, content: [message(name, 0, content[0 : 2 * MIB + 1])],
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        size_bytes=3 * MIB,
        fields=("chunk.content",),
    ),
    "message over 5 MiB": Write(
        lambda name, content: [message(name, 0, content[0 : 5 * MIB])], "RESOURCE_EXHAUSTED", "", size_bytes=5 * MIB
    ),
    "more than declared": Write(
        lambda name, content: [message(name, 0, content.whole + b"!")],
        "OUT_OF_RANGE",
        "SIZE_MISMATCH",
        facts={"expected": str(SMALL), "actual": str(SMALL + 1)},
    ),
    "more than declared after a part": Write(
        lambda name, content: [*part_of_stream(name, content, PART, LONG), message(name, LONG, b"!")],
        "OUT_OF_RANGE",
        "SIZE_MISMATCH",
        size_bytes=LONG,
        held=PART,
        facts={"expected": str(LONG), "actual": str(LONG + 1)},
    ),
    "fewer than declared": Write(
        lambda name, content: [head(name, content), finish(name, content, write_offset=1000)],
        "OUT_OF_RANGE",
        "SIZE_MISMATCH",
        facts={"expected": str(SMALL), "actual": "1000"},
    ),
    "wrong crc32c": Write(
        lambda name, content: [
            pb.WriteUploadRequest(name=name, chunk=chunk(content.whole, crc32c=1)),
            finish(name, content),
        ],
        "INVALID_ARGUMENT",
        "CHUNK_CHECKSUM",
        facts={"offset": "0", "persistedSize": "0"},
    ),
    "wrong crc32c in the second part": Write(
        lambda name, content: [
            pb.WriteUploadRequest(name=name, write_offset=PART, chunk=chunk(content[PART:], crc32c=1)),
            finish(name, content),
        ],
        "INVALID_ARGUMENT",
        "CHUNK_CHECKSUM",
        size_bytes=LONG,
        held=PART,
        facts={"offset": str(PART), "persistedSize": str(PART)},
    ),
    "wrong crc32c across a part boundary": Write(
        lambda name, content: [
            *part_of_stream(name, content, 0, PART - MIB),
            message(name, PART - MIB, content[PART - MIB : PART - 1000]),
            pb.WriteUploadRequest(name=name, write_offset=PART - 1000, chunk=chunk(content[PART - 1000 :], crc32c=1)),
        ],
        "INVALID_ARGUMENT",
        "CHUNK_CHECKSUM",
        size_bytes=LONG,
        facts={"offset": str(PART - 1000), "persistedSize": "0"},
    ),
    "finish without a digest": Write(
        lambda name, content: [message(name, 0, content.whole, finish_write=True)],
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        fields=("digest",),
    ),
    "finish with a short sha256": Write(
        lambda name, content: [
            message(name, 0, content.whole),
            finish(name, content, digest=common_pb2.Digest(sha256="ab" * 31, size_bytes=SMALL)),
        ],
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        fields=("digest.sha256",),
    ),
    "finish with a sha256 in capitals": Write(
        lambda name, content: [
            message(name, 0, content.whole),
            finish(name, content, digest=common_pb2.Digest(sha256=content.sha256.upper(), size_bytes=SMALL)),
        ],
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        fields=("digest.sha256",),
    ),
    "finish with another size": Write(
        lambda name, content: [
            message(name, 0, content.whole),
            finish(name, content, digest=common_pb2.Digest(sha256=content.sha256, size_bytes=SMALL - 1)),
        ],
        "OUT_OF_RANGE",
        "SIZE_MISMATCH",
        facts={"expected": str(SMALL), "actual": str(SMALL - 1)},
    ),
    "wrong sha256": Write(
        lambda name, content: [
            message(name, 0, content.whole),
            finish(name, content, digest=common_pb2.Digest(sha256=WRONG, size_bytes=SMALL)),
        ],
        "INVALID_ARGUMENT",
        "DIGEST_MISMATCH",
        facts={"expected": WRONG},
        state=FAILED,
    ),
    "wrong sha256 of several parts": Write(
        lambda name, content: [
            *part_of_stream(name, content, 0, LONG),
            finish(name, content, digest=common_pb2.Digest(sha256=WRONG, size_bytes=LONG)),
        ],
        "INVALID_ARGUMENT",
        "DIGEST_MISMATCH",
        size_bytes=LONG,
        facts={"expected": WRONG},
        state=FAILED,
    ),
    "wrong sha256 after a resume": Write(
        lambda name, content: [
            *part_of_stream(name, content, PART, LONG),
            finish(name, content, digest=common_pb2.Digest(sha256=WRONG, size_bytes=LONG)),
        ],
        "INVALID_ARGUMENT",
        "DIGEST_MISMATCH",
        size_bytes=LONG,
        held=PART,
        facts={"expected": WRONG},
        state=FAILED,
    ),
    "empty chunks without end": Write(
        lambda name, _: (pb.WriteUploadRequest(name=name) for _ in range(MAX_EMPTY_CHUNKS + 1)),
        "RESOURCE_EXHAUSTED",
        "RATE_LIMITED",
    ),
}


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("row", WRITES.values(), ids=WRITES.keys())
def test_a_stream_that_breaks_the_contract_is_refused_by_name_and_changes_nothing(registry, row):
    version = registry.draft()
    content = Content(row.size_bytes)
    name = registry.start(version, "model.bin", row.size_bytes).name
    if row.held:
        assert registry.write(part_of_stream(name, content, 0, row.held)).persisted_size == row.held
    before = registry.state(version)

    refusal = refused(lambda: registry.write(row.messages(name, content)))

    assert (refusal.code, refusal.reason, refusal.fields) == (row.code, row.reason, row.fields)
    assert row.facts.items() <= refusal.facts.items()
    assert registry.state(version) == before
    upload = registry.upload(name)
    assert upload.state == row.state
    if row.state == ACTIVE:
        # Whatever went wrong, the upload can go on from where it was.
        assert upload.persisted_size % PART == 0 or upload.persisted_size == row.size_bytes
        resumed = registry.write(stream(name, content, upload.persisted_size))
        assert (resumed.state, resumed.artifact.digest) == (COMMITTED, content.digest)
        assert registry.read(resumed.artifact.name) == content.whole
    else:
        assert refused(lambda: registry.write(stream(name, content))).reason == "UPLOAD_CLOSED"
        assert "hash" in upload.failure
        assert registry.push(version, "model.bin", content).digest == content.digest


def test_a_digest_other_than_the_declared_one_is_refused_before_the_bytes_are_judged(registry):
    content = Content(SMALL)
    version = registry.draft()
    name = registry.start(version, "model.bin", SMALL, sha256=content.sha256).name
    other = common_pb2.Digest(sha256=WRONG, size_bytes=SMALL)

    refusal = refused(
        lambda: registry.write([message(name, 0, content.whole), finish(name, content, digest=other)]),
    )

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    assert refusal.facts == {"expected": content.sha256, "actual": WRONG}
    assert registry.upload(name).state == ACTIVE
    # The declared digest needs no repetition.
    assert registry.write([message(name, 0, content.whole, finish_write=True)]).artifact.digest == content.digest
