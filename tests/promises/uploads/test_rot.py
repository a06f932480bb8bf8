"""P20: bytes that rot in either store are told on read, found by the scrubber, and never given to anyone as good."""

import contextlib
import json
import time

import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.server import running
from tests.kit.uploads import MIB, PART, Content, part_of_stream, refused, stream
from tests.kit.waiting import metric, until
from tests.promises.uploads.world import DISTRIBUTED, EMBEDDED, KINDS, rehash, world

SIZE = 2 * PART + MIB
EAGER = {"scrub_pass_s": "0.2", "scrub_bytes_per_s": str(1 << 30)}
IDLE = {"scrub_bytes_per_s": "0"}
COMMITTED = pb.Upload.STATE_COMMITTED


@contextlib.contextmanager
def one_ready_file(kind, environment, **settings):
    """A READY version of one file of three blocks, and the key of its bytes."""
    with world(kind, environment, **settings) as place:
        registry = place.registry
        content = Content(SIZE)
        version = registry.draft()
        artifact = registry.push(version, "model.bin", content)
        registry.finalize(version)
        (key,) = place.objects()
        yield place, registry, version, artifact, content, key


def told_of_loss(call):
    refusal = refused(call)
    assert (refusal.code, refusal.reason) == ("DATA_LOSS", "ARTIFACT_CORRUPT")


def read_in_all_ways(kind, environment):
    with one_ready_file(kind, environment, **IDLE) as (place, registry, _, artifact, content, key):
        place.flip(key, PART + 77)
        told_of_loss(lambda: registry.read(artifact.name))
        told_of_loss(lambda: registry.read(artifact.name, read_offset=PART + 77, read_limit=1))
        # In the same block, before and behind it, and a range that ends in it.
        told_of_loss(lambda: registry.read(artifact.name, read_offset=2 * PART - 1, read_limit=1))
        told_of_loss(lambda: registry.read(artifact.name, read_offset=5, read_limit=PART))
        # Ranges in other blocks are good, and are given.
        assert registry.read(artifact.name, read_limit=PART) == content[:PART]
        assert registry.read(artifact.name, read_offset=2 * PART) == content[2 * PART :]
        place.flip(key, PART + 77)
        assert registry.read(artifact.name) == content.whole

        place.replace(key, lambda data: data[:-1])
        told_of_loss(lambda: registry.read(artifact.name))
        assert registry.read(artifact.name, read_limit=PART) == content[:PART]
        place.remove(key)
        told_of_loss(lambda: registry.read(artifact.name))
        told_of_loss(lambda: registry.read(artifact.name, read_offset=3, read_limit=1))


@pytest.mark.promise("P20", "local")
def test_rot_in_the_directory_is_data_loss_for_whole_and_ranged_reads(service_environment):
    read_in_all_ways(EMBEDDED, service_environment)


@pytest.mark.promise("P20", "s3")
def test_rot_in_the_bucket_is_data_loss_for_whole_and_ranged_reads(service_environment):
    read_in_all_ways(DISTRIBUTED, service_environment)


def found(place, result):
    return metric(place.server.metrics_port, "registry_scrub_blobs_total", result=result)


@pytest.mark.promise("P20", "scrubber")
@pytest.mark.parametrize("kind", KINDS)
def test_the_scrubber_finds_rot_and_an_upload_of_the_same_bytes_heals_it(kind, service_environment):
    with one_ready_file(kind, service_environment, **EAGER) as (place, registry, version, artifact, content, key):
        until(lambda: found(place, "good") >= 1, 20)
        assert found(place, "damaged") == 0
        revision = place.rows("SELECT revision FROM log_head")[0][0]
        place.flip(key, 2 * PART + 5)

        until(lambda: found(place, "damaged") >= 2, 20)

        # It is marked once, with when and why, in the log of changes and the audit too; it is not deleted.
        ((state, damage, at),) = place.rows("SELECT state, damage, damage_time FROM blob")
        assert state == "damaged"
        assert "block 2" in damage
        assert at > 0
        assert place.rows("SELECT revision FROM log_head") == [(revision + 1,)]
        assert place.rows(f"SELECT action, actor FROM event WHERE revision = {revision + 1}") == [  # noqa: S608
            ("damaged", "system:registry")
        ]
        ((method,),) = place.rows(f"SELECT method FROM audit WHERE revision = {revision + 1}")  # noqa: S608
        assert method == "system.ScrubBlobs"
        assert place.objects() == {key}
        lines = [json.loads(line) for line in place.server.log.splitlines() if content.sha256 in line]
        assert {line["level"] for line in lines} == {"error"}

        # Nobody is given it for good, and what is good of it can be read.
        told_of_loss(lambda: registry.read(artifact.name))
        assert registry.read(artifact.name, read_limit=2 * PART) == content[: 2 * PART]
        wanted = pb.FindMissingArtifactsRequest(parent="projects/default", digests=[content.digest])
        assert list(registry.api.artifacts.FindMissingArtifacts(wanted).missing) == [content.digest]
        other = registry.draft()
        started = registry.start(other, "copy.bin", SIZE, sha256=content.sha256)
        assert started.state == pb.Upload.STATE_ACTIVE
        upload = registry.write(stream(started.name, content))

        assert (upload.state, upload.deduplicated) == (COMMITTED, False)
        assert registry.read(artifact.name) == content.whole
        assert rehash(registry, version) == 1
        registry.finalize(other)
        assert rehash(registry, other) == 1
        assert list(registry.api.artifacts.FindMissingArtifacts(wanted).missing) == []
        assert sorted(place.rows("SELECT state FROM blob")) == [("deleting",), ("live",)]


@pytest.mark.promise("P20", "scrubber")
def test_bytes_that_come_back_from_a_backup_are_found_good_again(service_environment):
    with one_ready_file(EMBEDDED, service_environment, **EAGER) as (place, registry, _, artifact, content, key):
        place.flip(key, 0)
        until(lambda: found(place, "damaged") >= 1, 20)
        place.flip(key, 0)

        until(lambda: found(place, "healed") == 1, 20)

        assert place.rows("SELECT state, damage, damage_time FROM blob") == [("live", "", None)]
        assert [action for (action,) in place.rows("SELECT action FROM event ORDER BY revision DESC LIMIT 2")] == [
            "healed",
            "damaged",
        ]
        assert registry.read(artifact.name) == content.whole
        again = registry.start(registry.draft(), "model.bin", SIZE, sha256=content.sha256)
        assert (again.state, again.deduplicated) == (COMMITTED, True)


def test_a_draft_with_damaged_bytes_is_not_finalized(service_environment):
    content = Content(SIZE)
    with world(EMBEDDED, service_environment, **EAGER) as place:
        registry = place.registry
        version = registry.draft()
        registry.push(version, "model.bin", content)
        (key,) = place.objects()
        place.flip(key, SIZE - 1)
        until(lambda: found(place, "damaged") >= 1, 20)

        told_of_loss(lambda: registry.finalize(version))

        registry.push(version, "model.bin", content)
        assert registry.finalize(version).file_count == 1


@pytest.mark.promise("P20", "scrubber")
def test_the_scrubber_keeps_to_its_rate_and_a_dead_store_is_no_rot(service_environment):
    # One block a second at most.
    with one_ready_file(EMBEDDED, service_environment, scrub_pass_s="0.1", scrub_bytes_per_s=str(PART)) as world_of:
        place, key = world_of[0], world_of[-1]
        port = place.server.metrics_port
        until(lambda: metric(port, "registry_scrub_bytes_total") > 0, 20)
        began, first = time.monotonic(), metric(port, "registry_scrub_bytes_total")
        until(lambda: metric(port, "registry_scrub_bytes_total") >= first + SIZE, 20, every_s=0.1)
        assert time.monotonic() - began > SIZE / PART - 1
        # A directory that cannot be read is an outage: nothing is marked.
        objects = place.server.data_dir / "artifacts" / "objects"
        path = objects / key
        kept = path.rename(place.server.data_dir / "kept")
        path.mkdir()
        until(lambda: "scrubbing failed" in place.server.log, 20)
        path.rmdir()
        kept.rename(path)
        assert place.rows("SELECT state FROM blob") == [("live",)]


def test_of_two_replicas_only_the_one_that_leads_scrubs(service_environment):
    with (
        one_ready_file(DISTRIBUTED, service_environment, **EAGER) as (place, *_),
        running(dict(place.server.settings)) as other,
    ):
        until(lambda: found(place, "good") >= 5, 20)
        assert metric(other.metrics_port, "registry_scrub_bytes_total") == 0


def test_a_stored_part_that_changed_between_two_streams_is_found_when_the_file_is_read_back(service_environment):
    content = Content(SIZE)
    with world(EMBEDDED, service_environment) as place:
        registry = place.registry
        version = registry.draft()
        name = registry.start(version, "model.bin", SIZE).name
        registry.write(part_of_stream(name, content, 0, PART))
        (part,) = [
            path for path in (place.server.data_dir / "artifacts" / "uploads").iterdir() if path.suffix != ".json"
        ]
        data = bytearray(part.read_bytes())
        data[12345] ^= 1
        part.write_bytes(data)

        refusal = refused(lambda: registry.write(stream(name, content, PART)))

        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
        must_be_gone(place, registry, version, name)


def test_a_part_of_other_bytes_in_the_bucket_is_found_when_the_file_is_completed(service_environment):
    content, other = Content(SIZE), Content(SIZE)
    with world(DISTRIBUTED, service_environment) as place:
        registry = place.registry
        version = registry.draft()
        # Recorded as it is: only reading back shows it.
        name = registry.start(version, "recorded.bin", SIZE).name
        registry.write(part_of_stream(name, other, 0, PART))
        refusal = refused(lambda: registry.write(stream(name, content, PART)))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
        must_be_gone(place, registry, version, name)

        # Put in its place behind the registry's back: the store refuses the part that was recorded.
        name = registry.start(version, "replaced.bin", SIZE).name
        registry.write(part_of_stream(name, content, 0, PART))
        ((key, store_upload),) = place.rows("SELECT key, store_upload FROM upload WHERE state = 'active'")
        place.bucket.client()._upload_part(
            bucket_name=place.bucket.name,
            object_name=key,
            data=other[:PART],
            headers=None,
            upload_id=store_upload.partition(".")[2],
            part_number=1,
        )
        refusal = refused(lambda: registry.write(stream(name, content, PART)))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "UPLOAD_CLOSED")
        must_be_gone(place, registry, version, name)


def must_be_gone(place, registry, version, name):
    assert registry.upload(name).state == pb.Upload.STATE_FAILED
    assert registry.state(version)[1] == []
    assert place.under_way() == []
    assert place.objects() == set()
