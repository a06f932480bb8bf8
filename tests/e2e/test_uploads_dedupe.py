"""Bytes the project holds are not sent or stored twice, and nobody learns what another project holds."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2
from tests.kit.stored import stored_files
from tests.kit.uploads import (
    DEPLOYMENTS,
    PART,
    Content,
    Registry,
    deployed,
    eventually,
    part_of_stream,
    refused,
    stream,
)

COMMITTED = pb.Upload.STATE_COMMITTED


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


def missing(registry, project, *digests):
    request = pb.FindMissingArtifactsRequest(parent=project, digests=digests)
    return list(registry.api.artifacts.FindMissingArtifacts(request).missing)


def attach(registry, version, files, **fields):
    attachments = [pb.ArtifactAttachment(path=path, digest=digest) for path, digest in files]
    request = pb.AttachArtifactsRequest(parent=version, attachments=attachments, **fields)
    return registry.api.artifacts.AttachArtifacts(request)


def test_bytes_that_are_held_commit_at_start(registry):
    content = Content(PART + 1)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", content)
    version = registry.draft(project)

    upload = registry.start(version, "copy.bin", content.size_bytes, sha256=content.sha256)

    assert (upload.state, upload.deduplicated) == (COMMITTED, True)
    assert upload.artifact.digest == content.digest
    assert registry.read(upload.artifact.name) == content.whole
    # A client that writes all the same gets the same answer.
    assert registry.write(stream(upload.name, content)) == upload


def test_the_same_sha256_with_another_size_is_not_the_same_bytes(registry):
    content = Content(1000)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", content)

    upload = registry.start(registry.draft(project), "copy.bin", 1001, sha256=content.sha256)

    assert upload.state == pb.Upload.STATE_ACTIVE


def test_find_missing_says_what_must_be_uploaded_and_attach_puts_the_rest(registry):
    held, unknown = Content(1000), Content(1001)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", held)
    version = registry.draft(project)

    assert missing(registry, project, held.digest, unknown.digest, unknown.digest) == [unknown.digest]
    attached = attach(registry, version, [("a/model.bin", held.digest), ("b/model.bin", held.digest)])

    assert [file.path for file in attached.artifacts] == ["a/model.bin", "b/model.bin"]
    assert registry.state(version)[0] == attached.revision
    assert registry.read(attached.artifacts[1].name) == held.whole


def test_attaching_is_all_or_nothing(registry):
    held, unknown = Content(1000), Content(1001)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", held)
    version = registry.draft(project)
    before = registry.state(version)

    refusal = refused(lambda: attach(registry, version, [("a", held.digest), ("b", unknown.digest)]))

    assert (refusal.code, refusal.reason, refusal.facts["path"]) == ("NOT_FOUND", "ARTIFACT_NOT_FOUND", "b")
    assert registry.state(version) == before


@pytest.mark.parametrize("sha256", ["", "ab" * 31, "AB" * 32])
def test_attaching_by_a_digest_that_is_none_is_refused(registry, sha256):
    version = registry.draft()

    refusal = refused(lambda: attach(registry, version, [("a", common_pb2.Digest(sha256=sha256, size_bytes=1))]))

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


def test_what_another_project_holds_cannot_be_asked_or_taken(registry):
    content = Content(1000)
    registry.push(registry.draft(registry.project()), "model.bin", content)
    mine = registry.project()
    version = registry.draft(mine)

    assert missing(registry, mine, content.digest) == [content.digest]
    assert refused(lambda: attach(registry, version, [("a", content.digest)])).reason == "ARTIFACT_NOT_FOUND"
    upload = registry.start(version, "a", content.size_bytes, sha256=content.sha256)
    assert (upload.state, upload.deduplicated) == (pb.Upload.STATE_ACTIVE, False)
    assert not registry.write(stream(upload.name, content)).deduplicated


@pytest.mark.parametrize("size_bytes", [1000, PART + 1])
def test_two_uploads_of_the_same_new_bytes_both_commit_and_one_copy_is_kept(registry, size_bytes):
    content = Content(size_bytes)
    project = registry.project()
    versions = [registry.draft(project) for _ in range(2)]
    names = [registry.start(version, "model.bin", size_bytes).name for version in versions]
    for name in names:
        registry.write(part_of_stream(name, content, 0, size_bytes))
    barrier = threading.Barrier(2)

    def finishing(name):
        persisted = registry.upload(name).persisted_size
        barrier.wait(10)
        return registry.write(stream(name, content, persisted))

    with ThreadPoolExecutor(2) as threads:
        uploads = list(threads.map(finishing, names))

    assert [upload.state for upload in uploads] == [COMMITTED] * 2
    assert sorted(upload.deduplicated for upload in uploads) == [False, True]
    for upload in uploads:
        assert registry.read(upload.artifact.name) == content.whole
    assert missing(registry, project, content.digest) == []


def test_a_thousand_files_are_attached_at_once_without_taking_the_square_of_the_time(registry):
    content = Content(100)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", content)
    version = registry.draft(project)
    deep = [(f"layer-{at % 10}/{at}/weights.bin", content.digest) for at in range(1000)]

    began = time.monotonic()
    attached = attach(registry, version, deep)
    seconds = time.monotonic() - began

    assert len(attached.artifacts) == 1000
    assert seconds < 10
    assert len(registry.state(version)[1]) == 1000
    # Again, now that each of them is looked for among a thousand.
    began = time.monotonic()
    attach(registry, version, deep)
    assert time.monotonic() - began < max(3 * seconds, 2)


def test_a_thousand_small_files_started_one_by_one_take_the_same_time_each(registry):
    content = Content(100)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", content)
    version = registry.draft(project)

    def hundred(start):
        began = time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            uploads = list(
                threads.map(
                    lambda at: registry.start(version, f"{at}.bin", content.size_bytes, sha256=content.sha256),
                    range(start, start + 100),
                )
            )
        assert all(upload.deduplicated for upload in uploads)
        return time.monotonic() - began

    seconds = [hundred(start) for start in range(0, 1000, 100)]

    assert sum(seconds) < 60
    # The machine has other work too; a square would be ten times as slow at the end.
    assert min(seconds[-3:]) < 4 * min(seconds[:3])
    assert len(registry.state(version)[1]) == 1000


def test_the_store_keeps_one_object_for_bytes_that_are_in_many_versions(service_environment):
    content = Content(PART + 1)
    with deployed("embedded", service_environment) as server:
        registry = Registry.of(server)
        for _ in range(3):
            registry.push(registry.draft(), "model.bin", content, sha256=content.sha256)

        assert [path.stat().st_size for path in stored_files(server)] == [PART + 1]


def test_bytes_are_held_as_soon_as_their_upload_commits(registry):
    content = Content(1000)
    project = registry.project()
    registry.push(registry.draft(project), "model.bin", content)

    assert eventually(lambda: not missing(registry, project, content.digest), 1)
