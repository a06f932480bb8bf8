"""Hostile row 64: a quota is taken at StartUpload, so that no race and no crash takes a byte more. P14."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import projects_pb2
from tests.kit.catalogue import at_once
from tests.kit.uploads import MIB, PART, Content, outcome, part_of_stream, stream
from tests.kit.waiting import until
from tests.promises.tenants.ledger import counted, said
from tests.promises.uploads.world import KINDS, world

COMMITTED = pb.Upload.STATE_COMMITTED
RACERS = 32
SIZE = 100_003
FITTING = 11
LIMIT = FITTING * SIZE + SIZE - 1
"""Room for eleven, and for one byte less than twelve."""
STEPS = ("upload.u0.after", "upload.u3.after", "upload.u4.after", "upload.u8.before", "upload.u8.after")


def limited(registry, **quotas):
    """A new project with these quotas."""
    project = registry.project()
    request = projects_pb2.UpdateProjectRequest(
        project=projects_pb2.Project(name=project, quotas=projects_pb2.Quotas(**quotas)),
        update_mask=FieldMask(paths=["quotas"]),
    )
    registry.api.projects.UpdateProject(request)
    return project


@pytest.mark.promise("P14", "quota race")
@pytest.mark.parametrize("kind", KINDS)
def test_32_racing_uploads_take_exactly_what_fits(kind, service_environment):
    with world(kind, service_environment) as place:
        registry = place.registry
        project = limited(registry, max_stored_bytes=LIMIT)
        versions = [registry.draft(project) for _ in range(4)]
        contents = [Content(SIZE) for _ in range(RACERS)]

        def push(number):
            upload = registry.start(versions[number % 4], f"part-{number}", SIZE)
            return registry.write(stream(upload.name, contents[number]))

        ended = at_once(RACERS, lambda number: outcome(lambda: push(number)))
        committed = [each for each in ended if getattr(each, "state", None) == COMMITTED]
        refused = [each for each in ended if getattr(each, "reason", "") == "QUOTA_EXCEEDED"]
        assert (len(committed), len(refused)) == (FITTING, RACERS - FITTING)
        assert {each.code for each in refused} == {"RESOURCE_EXHAUSTED"}
        name = project.removeprefix("projects/")
        assert said(place, name) == counted(place, name) == (FITTING * SIZE, 0, 4, 4, 0)
        # The last byte can still be taken, and then none.
        assert registry.push(versions[0], "rest", Content(SIZE - 1)).digest.size_bytes == SIZE - 1
        assert outcome(lambda: registry.start(versions[0], "more", 1)).reason == "QUOTA_EXCEEDED"


@pytest.mark.promise("P14", "quota race")
@pytest.mark.parametrize("kind", KINDS)
def test_1000_sessions_are_not_opened_where_20_may_be(kind, service_environment):
    with world(kind, service_environment) as place:
        registry = place.registry
        project = limited(registry, max_open_uploads=20)
        version = registry.draft(project)

        def open_some(who):
            return [outcome(lambda n=n: registry.start(version, f"{who}-{n}", 1)) for n in range(8)]

        ended = at_once(RACERS, open_some)
        outcomes = [each for some in ended for each in some]
        opened = [each for each in outcomes if isinstance(each, pb.Upload)]
        assert len(opened) == 20
        assert {each.reason for each in outcomes if not isinstance(each, pb.Upload)} == {"QUOTA_EXCEEDED"}
        for upload in opened:
            registry.cancel(upload.name)
        name = project.removeprefix("projects/")
        assert said(place, name) == counted(place, name) == (0, 0, 1, 1, 0)


@pytest.mark.promise("P14", "quota race")
@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_what_there_is_after_every_kill(kind, service_environment):
    with world(kind, service_environment) as place:
        registry = place.registry
        project = limited(registry, max_stored_bytes=1 << 40)
        name = project.removeprefix("projects/")
        version = registry.draft(project)
        for number, step in enumerate(STEPS):
            registry = place.restart(f"{step}=kill@1")
            content = Content(PART + MIB)

            def push(path=f"part-{number}", content=content, registry=registry):
                upload = registry.start(version, path, content.size_bytes)
                return registry.write(stream(upload.name, content))

            assert outcome(push).code == "UNAVAILABLE"
            assert place.server.process.wait(10) == -9
            assert said(place, name) == counted(place, name), step
        registry = place.restart()
        stored, reserved, _, _, still_open = said(place, name)
        # Only the kill after the commit lost nothing but the reply.
        assert (stored, reserved, still_open) == (PART + MIB, 4 * (PART + MIB), 4)
        place.forget_seals()
        for upload in registry.api.artifacts.ListUploads(pb.ListUploadsRequest(parent=version)).uploads:
            if upload.state != COMMITTED:
                registry.cancel(upload.name)
        assert said(place, name) == counted(place, name) == (PART + MIB, 0, 1, 1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_expires_gives_its_room_back_and_drift_is_repaired(kind, service_environment):
    with world(kind, service_environment, upload_retention_s="1") as place:
        registry = place.registry
        project = limited(registry, max_stored_bytes=2 * PART)
        name = project.removeprefix("projects/")
        version = registry.draft(project)
        content = Content(2 * PART)
        upload = registry.start(version, "a", content.size_bytes)
        registry.writing(part_of_stream(upload.name, content, 0, PART)).exception(timeout=30)
        assert outcome(lambda: registry.start(version, "b", 1)).reason == "QUOTA_EXCEEDED"
        until(place.all_uploads_are_over, within_s=20)
        # Somebody wrote into the row by hand; the leader of a server that starts looks at once.
        place.server.kill()
        place.rows(f"UPDATE project_usage SET stored_bytes = 12345, models = 9 WHERE project = '{name}'")  # noqa: S608
        place.depose_the_dead()
        place.restart()
        until(lambda: said(place, name) == counted(place, name) == (0, 0, 1, 1, 0), within_s=40)
