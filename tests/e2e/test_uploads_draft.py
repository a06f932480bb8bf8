"""Files come into a draft, are replaced there, and are frozen with it."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import models_pb2, versions_pb2
from tests.kit.uploads import (
    DEPLOYMENTS,
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

COMMITTED, FAILED = pb.Upload.STATE_COMMITTED, pb.Upload.STATE_FAILED


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


def manifest_digest(files):
    """As the contract has it, computed here and not by the registry's own function."""
    lines = [(path.encode(), f"{content.sha256} {content.size_bytes} ".encode()) for path, content in files.items()]
    text = b"registry-grpc manifest v1\n" + b"".join(head + path + b"\n" for path, head in sorted(lines))
    return "sha256:" + hashlib.sha256(text).hexdigest()


def test_the_directories_of_a_model_are_kept_and_the_manifest_digest_is_what_anyone_computes(registry):
    version = registry.draft()
    paths = [
        "model.bin",
        "weights/00.bin",
        "weights/sub/01.bin",
        "Z.txt",
        "caf\u00e9/\U0001f600.json",
        "a b/c.txt",
        "a",
    ]
    paths.remove("a")
    files = {path: Content(100 + at) for at, path in enumerate(paths)}
    for path in random.sample(paths, len(paths)):
        registry.push(version, path, files[path])

    found = registry.finalize(version, manifest_digest=manifest_digest(files))

    assert found.manifest_digest == manifest_digest(files)
    assert (found.file_count, found.total_size_bytes) == (6, sum(file.size_bytes for file in files.values()))
    listed = [path for path, *_ in registry.state(version)[1]]
    assert listed == sorted(paths, key=str.encode)


def test_replacing_a_file_of_a_draft_needs_the_etag_that_was_read(registry):
    version = registry.draft()
    first, second, third = Content(10), Content(20), Content(30)
    old = registry.push(version, "model.bin", first)

    new = registry.push(version, "model.bin", second, etag=old.etag)
    before = registry.state(version)
    stale = refused(lambda: registry.start(version, "model.bin", third.size_bytes, etag=old.etag))
    absent = refused(lambda: registry.start(version, "other.bin", third.size_bytes, etag=old.etag))

    assert new.name == old.name
    assert new.etag != old.etag
    assert (stale.code, stale.reason, stale.facts["currentEtag"]) == ("ABORTED", "ETAG_MISMATCH", new.etag)
    assert (absent.reason, absent.facts["currentEtag"]) == ("ETAG_MISMATCH", "")
    assert registry.state(version) == before
    assert registry.read(new.name) == second.whole


def test_a_file_that_was_replaced_meanwhile_is_not_replaced_again_by_a_guarded_upload(registry):
    version = registry.draft()
    old = registry.push(version, "model.bin", Content(10))
    content = Content(30)
    guarded = registry.start(version, "model.bin", content.size_bytes, etag=old.etag)
    registry.push(version, "model.bin", Content(20))
    before = registry.state(version)

    refusal = refused(lambda: registry.write(stream(guarded.name, content)))

    assert (refusal.code, refusal.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert registry.upload(guarded.name).state == FAILED
    assert registry.state(version) == before


def test_finalizing_with_open_uploads_names_them(registry):
    version = registry.draft()
    content = Content(PART + 1)
    registry.push(version, "done.bin", Content(10))
    names = [registry.start(version, f"{at}.bin", content.size_bytes).name for at in range(2)]
    registry.write(part_of_stream(names[0], content, 0, PART))
    before = registry.state(version)

    refusal = refused(lambda: registry.finalize(version))

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "UPLOADS_OPEN")
    assert refusal.facts["uploads"] == ", ".join(names)
    assert registry.state(version) == before
    for name in names:
        registry.cancel(name)
    assert registry.finalize(version).file_count == 1


def test_finalizing_without_a_file_is_refused(registry):
    refusal = refused(lambda: registry.finalize(registry.draft()))

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "VERSION_EMPTY")


def test_finalizing_other_content_than_expected_is_refused_and_changes_nothing(registry):
    version = registry.draft()
    content = Content(10)
    registry.push(version, "model.bin", content)
    before = registry.state(version)
    expected = manifest_digest({"model.bin": Content(10)})

    refusal = refused(lambda: registry.finalize(version, manifest_digest=expected))

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    assert refusal.facts == {"expected": expected, "actual": manifest_digest({"model.bin": content})}
    assert registry.state(version) == before


def test_nothing_comes_into_a_version_that_was_finalized(registry):
    version = registry.draft()
    content = Content(10)
    registry.push(version, "model.bin", content)
    registry.finalize(version)
    before = registry.state(version)
    attachment = pb.ArtifactAttachment(path="other.bin", digest=content.digest)

    at_start = refused(lambda: registry.start(version, "other.bin", 10))
    at_dedupe = refused(lambda: registry.start(version, "model.bin", 10, sha256=content.sha256))
    at_attach = refused(
        lambda: registry.api.artifacts.AttachArtifacts(
            pb.AttachArtifactsRequest(parent=version, attachments=[attachment])
        )
    )

    for refusal in (at_start, at_dedupe, at_attach):
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "VERSION_IMMUTABLE")
    assert registry.state(version) == before


def test_an_upload_and_a_finalize_at_once_end_in_one_order_or_the_other(registry):
    for _ in range(5):
        version = registry.draft()
        registry.push(version, "model.bin", Content(10))
        content = Content(1000)
        name = registry.start(version, "late.bin", content.size_bytes).name
        barrier = threading.Barrier(2)

        def finalizing(version=version, barrier=barrier):
            barrier.wait(10)
            return outcome(lambda: registry.finalize(version))

        def writing(name=name, content=content, barrier=barrier):
            barrier.wait(10)
            return registry.write(stream(name, content))

        with ThreadPoolExecutor(2) as threads:
            frozen, written = threads.submit(finalizing), threads.submit(writing)
        assert written.result().state == COMMITTED
        found = frozen.result()
        if isinstance(found, Refusal):
            assert found.reason == "UPLOADS_OPEN"
            found = registry.finalize(version)
        assert found.file_count == len(registry.state(version)[1]) == 2


def test_an_upload_into_a_version_that_was_deleted_meanwhile_commits_nothing(registry):
    version = registry.draft()
    content = Content(PART + 1)
    name = registry.start(version, "model.bin", content.size_bytes).name
    held = Held(part_of_stream(name, content, 0, PART))
    call = registry.writing(held)
    eventually(lambda: registry.upload(name).persisted_size == PART)

    registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=version))
    held.let_go()
    assert call.result(timeout=20).state != COMMITTED
    refusal = refused(lambda: registry.write(stream(name, content, PART)))

    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "VERSION_NOT_FOUND")
    assert registry.cancel(name).state == pb.Upload.STATE_CANCELLED


def test_an_upload_whose_version_was_deleted_can_be_finished_after_the_version_came_back(registry):
    version = registry.draft()
    content = Content(PART + 1)
    name = registry.start(version, "model.bin", content.size_bytes).name
    registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=version))
    assert refused(lambda: registry.write(stream(name, content))).reason == "VERSION_NOT_FOUND"

    registry.api.models.UndeleteVersion(versions_pb2.UndeleteVersionRequest(name=version))
    upload = registry.write([finish(name, content)])

    assert registry.read(upload.artifact.name) == content.whole
    assert registry.finalize(version).file_count == 1


def test_deleting_a_model_with_an_open_upload_leaves_nothing_to_commit_to(registry):
    version = registry.draft()
    content = Content(1000)
    name = registry.start(version, "model.bin", content.size_bytes).name
    registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=version))
    model = version.partition("/versions/")[0]
    registry.api.models.DeleteModel(models_pb2.DeleteModelRequest(name=model))

    refusal = refused(lambda: registry.write(stream(name, content)))

    assert refusal.code == "NOT_FOUND"
    assert refusal.reason in {"MODEL_NOT_FOUND", "VERSION_NOT_FOUND"}
