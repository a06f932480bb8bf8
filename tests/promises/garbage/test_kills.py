"""A real server that is killed between the steps of its collector, on either kind of stores."""

import contextlib
import os

import grpc
import pytest

from registry_grpc.v1 import models_pb2, server_pb2, versions_pb2
from tests.kit.uploads import Content, refused
from tests.kit.waiting import metric, until
from tests.promises.uploads.world import DISTRIBUTED, EMBEDDED, KINDS, rehash, rehash_everything, world

STEPS = ("garbage.marked", "garbage.retired", "garbage.deleted", "garbage.buried")
WEEK_US = 8 * 86_400 * 1_000_000
EXECUTE = server_pb2.CollectGarbageRequest(execute=True)
PENDING = "SELECT COUNT(*) FROM blob WHERE state IN ('condemned', 'deleting')"


def with_garbage(registry):
    """A version that stays, one that was purged, and a draft of which a file was replaced."""
    kept = registry.draft()
    shared = Content(70_000)
    registry.push(kept, "kept.bin", shared)
    registry.finalize(kept)
    gone = registry.draft()
    registry.push(gone, "shared.bin", shared)
    registry.push(gone, "gone.bin", Content(50_000, seed=1))
    registry.finalize(gone)
    registry.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=gone))
    registry.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=gone))
    draft = registry.draft()
    registry.push(draft, "w.bin", Content(60_000, seed=2))
    registry.push(draft, "w.bin", Content(61_000, seed=3))
    return kept


def let_grace_pass(place):
    place.rows(f"UPDATE blob SET condemned_at = condemned_at - {WEEK_US} WHERE condemned_at IS NOT NULL")  # noqa: S608


@pytest.mark.promise("P08", "kills")
@pytest.mark.promise("P09", "audit")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_killed_inside_the_collector_loses_nothing_and_the_next_one_ends_it(kind, step, service_environment):
    with world(kind, service_environment) as place:
        registry = place.registry
        with_garbage(registry)
        registry.api.server.CollectGarbage(EXECUTE)
        # Those that lost a race, were purged or replaced lie beside the two that are needed.
        assert len(place.objects()) == 5
        if step != "garbage.marked":
            let_grace_pass(place)
        else:
            draft = registry.draft()
            registry.push(draft, "w.bin", Content(62_000, seed=4))
            registry.push(draft, "w.bin", Content(63_000, seed=5))
        registry.api.close()

        # The leader collects as soon as it is up: nobody has to ask for it.
        place.depose_the_dead()
        # It may be killed before it takes calls.
        with contextlib.suppress(AssertionError, grpc.RpcError):
            place.restart(f"{step}=kill@1").api.server.CollectGarbage(EXECUTE)
        until(lambda: place.server.fired[step] >= 1, 30)
        until(lambda: place.server.process.poll() is not None, 30)

        place.depose_the_dead()
        registry = place.restart()
        rehash_everything(registry)
        registry.api.server.CollectGarbage(EXECUTE)
        let_grace_pass(place)
        until(lambda: not registry.api.server.CollectGarbage(EXECUTE).more, 60)
        assert place.rows(PENDING) == [(0,)]
        needed = {key for (key,) in place.rows("SELECT key FROM blob JOIN artifact ON artifact.blob_uid = blob.uid")}
        assert place.objects() == needed
        assert rehash_everything(registry) == 1


@pytest.mark.promise("P08", "mark")
def test_the_job_of_a_server_at_the_store_of_another_deletes_nothing_and_says_so(service_environment):
    with world(DISTRIBUTED, service_environment) as first:
        with_garbage(first.registry)
        until(lambda: "registrygrpc/marker" in first.everything(), 30)
        first.server.stop()
        keys = first.everything()
        settings = {name: value for name, value in first.server.settings.items() if name.startswith(("s3", "artifact"))}
        with world("embedded", service_environment, **settings) as second:
            port = second.server.metrics_port
            until(lambda: metric(port, "registry_garbage_frozen") == 1, 30)
            assert metric(port, "registry_job_failures_total", task="collect_garbage") >= 1
            # The others have their turn all the same.
            until(lambda: metric(port, "registry_job_last_success_timestamp_seconds", task="usage") > 0, 30)
            refusal = refused(lambda: second.registry.api.server.CollectGarbage(EXECUTE))
            assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "GARBAGE_FROZEN")
            models = models_pb2.ListModelsRequest(parent="projects/default")
            assert not second.registry.api.models.ListModels(models).models
        assert first.everything() == keys


@pytest.mark.promise("P09", "orphans")
def test_a_server_killed_while_it_removes_what_no_row_knows_goes_on_with_it(service_environment):
    with world(EMBEDDED, service_environment) as place:
        registry = place.registry
        kept = with_garbage(registry)
        root = place.server.data_dir / "artifacts"
        lost = [root / "objects" / text[:2] / text for text in ("ab" + "0" * 30, "cd" + "1" * 30)]
        unfinished = root / "uploads" / ("ef" * 16 + ".put")
        for path in (*lost, unfinished):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"lost")
            os.utime(path, (1_000_000_000, 1_000_000_000))
        seen = registry.api.server.CollectGarbage(EXECUTE)
        assert (seen.orphans_waiting.count, seen.orphans_collected.count) == (3, 0)
        place.rows(f"UPDATE orphan SET first_seen = first_seen - {WEEK_US}")  # noqa: S608
        dry = registry.api.server.CollectGarbage(server_pb2.CollectGarbageRequest())
        assert (dry.orphans_waiting.count, dry.orphans_collected.count) == (0, 3)
        registry.api.close()

        place.depose_the_dead()
        with contextlib.suppress(AssertionError, grpc.RpcError):
            place.restart("garbage.orphan.deleted=kill@1").api.server.CollectGarbage(EXECUTE)
        until(lambda: place.server.process.poll() is not None, 30)
        assert [path.exists() for path in (*lost, unfinished)] == [False, True, True]

        place.depose_the_dead()
        registry = place.restart()
        until(lambda: not any(path.exists() for path in (*lost, unfinished)), 30)
        assert rehash(registry, kept) == 1
        until(lambda: place.rows("SELECT COUNT(*) FROM orphan") == [(0,)], 30)
        assert metric(place.server.metrics_port, "registry_garbage_objects_total", kind="orphan") >= 2
