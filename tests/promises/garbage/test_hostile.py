"""Row 67 of the hostile inputs, over the wire: a SHA-256 that is known, of bytes that are on their way out."""

import pytest

from registry_grpc.v1 import artifacts_pb2, common_pb2, server_pb2, versions_pb2
from tests.kit.uploads import Content, refused, stream
from tests.promises.uploads.world import KINDS, rehash, world

GRACE_US = 8 * 86_400 * 1_000_000
EXECUTE = server_pb2.CollectGarbageRequest(execute=True)


def purged(registry, content):
    """The bytes lay in a version that is gone for good."""
    version = registry.draft()
    registry.push(version, "gone.bin", content)
    registry.finalize(version)
    registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=version))
    registry.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=version))


def attach(registry, version, digest):
    file = artifacts_pb2.ArtifactAttachment(path="w.bin", digest=digest)
    return registry.api.artifacts.AttachArtifacts(
        artifacts_pb2.AttachArtifactsRequest(parent=version, attachments=[file])
    )


def missing(registry, digest):
    request = artifacts_pb2.FindMissingArtifactsRequest(parent="projects/default", digests=[digest])
    return list(registry.api.artifacts.FindMissingArtifacts(request).missing)


def state(place, content):
    found = place.rows(f"SELECT state FROM blob WHERE sha256 = '{content.sha256}' ORDER BY create_time")  # noqa: S608
    return [each for (each,) in found]


@pytest.mark.promise("P14", "uploads")
@pytest.mark.parametrize("way", ["attached", "uploaded"])
@pytest.mark.parametrize("kind", KINDS)
def test_row_67_condemned_bytes_come_back_and_those_being_removed_are_not_there(kind, way, service_environment):
    content = Content(70_000)
    digest = common_pb2.Digest(sha256=content.sha256, size_bytes=content.size_bytes)
    with world(kind, service_environment) as place:
        registry = place.registry
        purged(registry, content)
        assert state(place, content) == ["condemned"]
        again = registry.draft()
        if way == "attached":
            attach(registry, again, digest)
        else:
            started = registry.start(again, "w.bin", content.size_bytes, sha256=content.sha256)
            assert (started.state, started.deduplicated) == (artifacts_pb2.Upload.STATE_COMMITTED, True)
        assert state(place, content) == ["live"]
        registry.finalize(again)
        assert rehash(registry, again) == 1
        registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=again))
        registry.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=again))

        # As a collector leaves it that was killed between deciding and deleting, and as one does that was not.
        for step in ("state = 'deleting'", f"condemned_at = condemned_at - {GRACE_US}, lease_until = NULL"):
            place.rows(f"UPDATE blob SET {step}")  # noqa: S608
            assert missing(registry, digest) == [digest]
            refusal = refused(lambda: attach(registry, registry.draft(), digest))
            assert (refusal.code, refusal.reason) == ("NOT_FOUND", "ARTIFACT_NOT_FOUND")
            registry.api.server.CollectGarbage(EXECUTE)
        assert state(place, content) == ["gone"]
        last = registry.draft()
        started = registry.start(last, "w.bin", content.size_bytes, sha256=content.sha256)
        assert (started.state, started.deduplicated) == (artifacts_pb2.Upload.STATE_ACTIVE, False)
        registry.write(stream(started.name, content))
        registry.finalize(last)
        assert rehash(registry, last) == 1
        assert state(place, content) == ["gone", "live"]
