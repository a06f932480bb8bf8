"""Uploads against what clients send by mistake or on purpose: each is refused by name, and nothing changes."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2
from tests.kit.uploads import (
    DEPLOYMENTS,
    MIB,
    PART,
    Content,
    Held,
    Registry,
    chunk,
    deployed,
    eventually,
    finish,
    outcome,
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
class Start:
    """A StartUpload that is refused with INVALID_FIELD, and the field it is about."""

    field: str
    request: dict


LONG_SEGMENT = "x" * 200
STARTS = {
    "parent directory": Start("path", {"path": "../x"}),
    "parent directory inside": Start("path", {"path": "a/../x"}),
    "absolute": Start("path", {"path": "/abs"}),
    "drive letter": Start("path", {"path": "C:\\x"}),
    "drive letter with slash": Start("path", {"path": "C:/x"}),
    "backslash": Start("path", {"path": "a\\b"}),
    "empty segment": Start("path", {"path": "a//b"}),
    "dot segment": Start("path", {"path": "a/./b"}),
    "trailing slash": Start("path", {"path": "a/"}),
    "git directory": Start("path", {"path": ".git/config"}),
    "git directory in capitals": Start("path", {"path": "a/.GIT/hooks"}),
    "256 segments": Start("path", {"path": "/".join("a" * 256)}),
    "4 KiB": Start("path", {"path": "/".join([LONG_SEGMENT] * 21)}),
    "newline": Start("path", {"path": "a\nb"}),
    "null": Start("path", {"path": "a\x00b"}),
    "right-to-left override": Start("path", {"path": "a\u202eb"}),
    "windows device": Start("path", {"path": "aux.bin"}),
    "trailing dot": Start("path", {"path": "weights."}),
    "no path": Start("path", {"path": ""}),
    "negative size": Start("size_bytes", {"size_bytes": -1}),
    "size over 5 TiB": Start("size_bytes", {"size_bytes": (5 << 40) + 1}),
    "sha256 too short": Start("sha256", {"sha256": "ab" * 31}),
    "sha256 too long": Start("sha256", {"sha256": "ab" * 33}),
    "sha256 in capitals": Start("sha256", {"sha256": "AB" * 32}),
    "sha256 of another algorithm": Start("sha256", {"sha256": "sha1:" + "a" * 40}),
    "media type that is none": Start("media_type", {"media_type": "binary"}),
    "etag *": Start("etag", {"etag": "*"}),
    "request id": Start("request_id", {"request_id": "1"}),
}


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("row", STARTS.values(), ids=STARTS.keys())
def test_starting_an_upload_that_cannot_be_a_file_is_refused_by_field(registry, row):
    version = registry.draft()
    before = registry.state(version)
    fields = {"path": "model.bin", "size_bytes": 3} | row.request

    refusal = refused(lambda: registry.start(version, **fields))

    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", (row.field,))
    assert registry.state(version) == before
    assert not registry.api.artifacts.ListUploads(pb.ListUploadsRequest(parent=version)).uploads


def test_a_path_that_is_not_utf8_is_refused_before_anything_looks_at_it(registry):
    version = registry.draft()
    raw = pb.StartUploadRequest(parent=version, path="AB", size_bytes=3).SerializeToString().replace(b"AB", b"\xff\xfe")
    send = registry.api.channel.unary_unary("/registry_grpc.v1.ArtifactService/StartUpload")

    refusal = refused(lambda: send(raw))

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")


COLLISIONS = {
    "case": ("dir/model.bin", "dir/Model.bin"),
    "case of the directory": ("dir/a.bin", "DIR/a.bin"),
    "unicode form": ("caf\u00e9.bin", "cafe\u0301.bin"),
    "full case folding": ("stra\u00dfe.bin", "STRASSE.bin"),
    "file below a file": ("weights", "weights/0.bin"),
    "file in place of a directory": ("weights/0.bin", "weights"),
    "file below a file of other case": ("Weights", "weights/0.bin"),
}


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize(("present", "wanted"), COLLISIONS.values(), ids=COLLISIONS.keys())
def test_paths_that_some_file_system_takes_for_one_are_refused_at_start_attach_and_commit(registry, present, wanted):
    version = registry.draft()
    content = Content(10)
    # Started while there was no collision yet: the commit must see it.
    early = registry.start(version, wanted, content.size_bytes)
    registry.push(version, present, content)
    before = registry.state(version)
    attachment = pb.ArtifactAttachment(path=wanted, digest=content.digest)

    at_start = refused(lambda: registry.start(version, wanted, content.size_bytes))
    at_attach = refused(
        lambda: registry.api.artifacts.AttachArtifacts(
            pb.AttachArtifactsRequest(parent=version, attachments=[attachment])
        )
    )
    at_commit = refused(lambda: registry.write(stream(early.name, content)))

    for refusal in (at_start, at_attach, at_commit):
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert at_start.fields == ("path",)
    assert registry.upload(early.name).state == FAILED
    assert registry.state(version) == before


def test_two_attachments_of_one_request_may_not_collide_either(registry):
    version = registry.draft()
    content = Content(10)
    registry.push(version, "other", content)
    attachments = [pb.ArtifactAttachment(path=path, digest=content.digest) for path in ("a/b", "A")]

    refusal = refused(
        lambda: registry.api.artifacts.AttachArtifacts(
            pb.AttachArtifactsRequest(parent=version, attachments=attachments)
        )
    )

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [path for path, *_ in registry.state(version)[1]] == ["other"]


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


def message(name, offset, content, **fields):
    return pb.WriteUploadRequest(name=name, write_offset=offset, chunk=chunk(content), **fields)


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
    "message over 4 MiB": Write(
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
