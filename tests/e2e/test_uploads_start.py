"""Starting uploads, and attaching files, that cannot be: each is refused by field, and nothing changes."""

from dataclasses import dataclass

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import (
    DEPLOYMENTS,
    Content,
    Registry,
    deployed,
    refused,
    stream,
)

FAILED = pb.Upload.STATE_FAILED


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
