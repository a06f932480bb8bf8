"""P02: a server killed before or after any step of an upload shows nothing that is not committed, and loses nothing."""

import uuid

import pytest

from registry_grpc.failpoints import NAMES
from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.uploads import MIB, PART, Content, outcome, part_of_stream, stream
from tests.kit.waiting import until
from tests.promises.uploads.world import KINDS, rehash, rehash_everything, world

COMMITTED = pb.Upload.STATE_COMMITTED
STEPS = sorted(name for name in NAMES if name.startswith("upload."))
SHAPES = {
    "two parts": PART + 3 * MIB + 7,
    "one part": 100_000,
}
CASES = [(name, "two parts") for name in STEPS] + [
    (name, "one part") for name in STEPS if name in {"upload.u6.after", "upload.u8.before"}
]
ABANDONED = ("upload.u1.after", "upload.u3.stored", "upload.u6.after", "upload.u8.before")


@pytest.fixture(scope="module", params=KINDS)
def place(request, service_environment):
    with world(request.param, service_environment) as place:
        yield place
        # Whatever the order of the deaths was: what the database calls ready is there, byte for byte.
        assert rehash_everything(place.registry) == place.rows("SELECT count(*) FROM artifact")[0][0]


def try_to_push(registry, version, content, request_id, *, resumed=False):
    """What a client does until the server dies under it, and again after that: start, look, send the rest."""
    upload = registry.start(version, "model.bin", content.size_bytes, request_id=request_id)
    found = registry.upload(upload.name)
    if resumed and not found.persisted_size:
        registry.write(part_of_stream(upload.name, content, 0, PART))
        found = registry.upload(upload.name)
    return registry.write(stream(upload.name, content, found.persisted_size))


@pytest.mark.promise("P02", "steps")
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_server_killed_at_a_step_leaves_what_the_table_says(place, name, shape):
    content = Content(SHAPES[shape])
    request_id = str(uuid.uuid4())
    fired = place.server.fired[name]
    registry = place.restart(f"{name}=kill@1")
    version = registry.draft()
    before = registry.state(version)

    died = outcome(
        lambda: try_to_push(registry, version, content, request_id, resumed=name.startswith("upload.u7")),
    )
    assert died.code == "UNAVAILABLE"
    assert place.server.process.wait(10) == -9
    assert place.server.fired[name] == fired + 1

    place.forget_seals()
    registry = place.restart()
    after = registry.state(version)
    if name == "upload.u8.after":
        # All is done, only the reply was lost.
        assert [(path, sha256) for path, sha256, _, _ in after[1]] == [("model.bin", content.sha256)]
    else:
        assert after == before
    upload = try_to_push(registry, version, content, request_id)
    assert (upload.state, upload.artifact.digest) == (COMMITTED, content.digest)
    assert registry.finalize(version).file_count == 1
    assert rehash(registry, version) == 1
    assert place.under_way() == []
    assert place.objects() == place.known_keys()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_server_left_is_swept_when_no_client_comes_back(kind, service_environment):
    content = Content(PART + MIB)
    with world(kind, service_environment, upload_retention_s="1") as place:
        names = []
        for name in ABANDONED:
            registry = place.restart(f"{name}=kill@1")
            upload = registry.start(registry.draft(), "model.bin", content.size_bytes)
            names.append(upload.name)
            assert outcome(lambda: registry.write(stream(upload.name, content))).code == "UNAVAILABLE"  # noqa: B023
            assert place.server.process.wait(10) == -9
        place.restart()
        left = len(place.under_way()) + len(place.objects())
        until(place.all_uploads_are_over, 10)
        place.server.kill()
        place.depose_the_dead()
        registry = place.restart()

        until(lambda: place.rows("SELECT count(*) FROM upload WHERE NOT dropped") == [(0,)], 20)

        assert left >= len(ABANDONED)
        assert {registry.upload(name).state for name in names} == {pb.Upload.STATE_EXPIRED}
        assert place.under_way() == []
        assert place.objects() == set()
