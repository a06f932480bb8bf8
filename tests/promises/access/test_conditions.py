"""P10: bindings with conditions, by stage and by tag, against every verb that changes a model or a version."""

import pytest

from registry_grpc.v1 import access_pb2, models_pb2, stages_pb2, versions_pb2
from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.uploads import Content, stream


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def office(server):
    office = Office(server)
    yield office
    office.close()


@pytest.fixture
def catalogue(server):
    return Catalogue(server.api())


def limited(server, office, catalogue, role, **condition):
    """A catalogue as seen by somebody with that role under that condition."""
    who = office.somebody()
    office.bind(role, catalogue.parent, who.principal, condition=access_pb2.Condition(**condition))
    return catalogue.on(who.at(server))


def denied(call, *args, **kwargs):
    refusal = refused(call, *args, **kwargs)
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), refusal
    return True


@pytest.mark.promise("P10", "conditions")
def test_whoever_may_set_staging_sets_staging_and_not_production(server, office, catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    mine = limited(server, office, catalogue, "deployer", stages=["staging"])

    assert mine.promote(one.name, "staging").stage.version_number == 1
    assert denied(mine.promote, one.name, "production")
    assert denied(mine.promote, one.name, "development"), "out of a protected stage, into another one"
    catalogue.promote(one.name, "production")
    catalogue.bring(two.name, "production")
    assert denied(mine.rollback, model, "production")
    assert denied(mine.vacate, model, "production")
    assert denied(mine.promote, two.name, "production"), "also what changes nothing"
    assert denied(mine.promote, two.name, "staging"), "production is protected"
    assert catalogue.holder(model, "production") == 2
    assert mine.promote(one.name, "staging").stage.version_number == 1, "from archived"
    assert mine.vacate(model, "staging").stage.version_number == 0
    mine.alias(model, champion=1)  # a condition on stages says nothing of aliases

    def test(stage):
        request = access_pb2.TestPermissionsRequest(
            resource=model, permissions=["stages.promote", "models.get", "models.delete"], stage=stage
        )
        return list(mine.api.access.TestPermissions(request).permissions)

    assert test("staging") == ["stages.promote", "models.get"] == test("")
    assert test("production") == ["models.get"]


@pytest.mark.promise("P10", "conditions")
def test_a_second_binding_is_not_touched_by_the_condition_of_the_first(server, office, catalogue):
    model = catalogue.model()
    [one] = catalogue.readies(model, 1)
    who = office.somebody()
    for stages in (["staging"], ["production"], ["staging", "production"]):
        office.bind("deployer", catalogue.parent, who.principal, condition=access_pb2.Condition(stages=stages))
    mine = catalogue.on(who.at(server))
    mine.promote(one.name, "staging")
    assert mine.promote(one.name, "production").stage.version_number == 1


def changes(catalogue, model, version, spare):
    """Every change of a READY version, or of its model: name to what makes it."""
    api = catalogue.api
    return {
        "update version": lambda: catalogue.update(version, "description", description="x"),
        "untag": lambda: catalogue.update(version, "tags"),
        "delete": lambda: catalogue.delete(version),
        "promote": lambda: catalogue.promote(version, "staging"),
        "alias": lambda: catalogue.alias(model, champion=1),
        "finalize again": lambda: api.models.FinalizeVersion(versions_pb2.FinalizeVersionRequest(name=version)),
        "displace": lambda: catalogue.promote(spare, "production"),
    }


def of_draft(catalogue, draft):
    """Every change of a draft."""
    api = catalogue.api.artifacts
    attachment = pb.ArtifactAttachment(path="b", digest=Content(3).digest)
    return {
        "start upload": lambda: api.StartUpload(pb.StartUploadRequest(parent=draft, path="a", size_bytes=3)),
        "attach": lambda: api.AttachArtifacts(pb.AttachArtifactsRequest(parent=draft, attachments=[attachment])),
        "update": lambda: catalogue.update(draft, "description", description="x"),
        "delete": lambda: catalogue.delete(draft),
    }


@pytest.mark.promise("P10", "conditions")
@pytest.mark.parametrize("where", ["version", "model"])
def test_what_carries_the_tag_is_read_and_not_changed(server, office, catalogue, where):
    tags = {"promoted": "true"}
    model = catalogue.model(tags=tags if where == "model" else {})
    one, two = catalogue.readies(model, 2)
    catalogue.bring(two.name, "production")
    catalogue.bring(one.name, "staging")
    catalogue.vacate(model, "staging")
    draft, spare = catalogue.draft(model), catalogue.ready(model)
    catalogue.promote(spare.name, "staging")
    if where == "version":
        for name in (one.name, two.name, draft.name):
            catalogue.update(name, "tags", tags=tags)
    mine = limited(server, office, catalogue, "admin", read_only_tags=tags)

    for name, change in (changes(mine, model, one.name, spare.name) | of_draft(mine, draft.name)).items():
        assert denied(change), name
    if where == "model":
        api = mine.api.models
        assert denied(api.UpdateModel, models_pb2.UpdateModelRequest(model=models_pb2.Model(name=model, owner="x")))
        assert denied(api.DeleteModel, models_pb2.DeleteModelRequest(name=model, force=True))
        assert denied(api.CreateVersion, versions_pb2.CreateVersionRequest(parent=model))
    assert mine.version(one.name).tags == ({} if where == "model" else tags)
    assert mine.resolve(model, stage="production").version_number == 2

    free = mine.model()
    mine.ready(free, tags={"promoted": "false"})
    mine.update(f"{free}/versions/1", "description", description="y")


@pytest.mark.promise("P10", "conditions")
def test_a_tag_that_comes_while_an_upload_is_open_is_looked_at_when_it_completes(server, office, catalogue):
    model = catalogue.model()
    draft = catalogue.draft(model)
    mine = limited(server, office, catalogue, "contributor", read_only_tags={"promoted": "true"})
    content = Content(1000)
    started = mine.api.artifacts.StartUpload(pb.StartUploadRequest(parent=draft.name, path="a", size_bytes=1000))
    catalogue.update(draft.name, "tags", tags={"promoted": "true"})
    assert denied(mine.api.artifacts.WriteUpload, stream(started.name, content), timeout=20)
    listed = catalogue.api.artifacts.ListArtifacts(pb.ListArtifactsRequest(parent=draft.name))
    assert list(listed.artifacts) == []


@pytest.mark.promise("P10", "conditions")
def test_a_role_on_a_model_ends_at_the_model(server, office, catalogue):
    model, other = catalogue.model(), catalogue.model()
    who = office.somebody()
    office.bind("contributor", model, who.principal)
    mine = catalogue.on(who.at(server))
    assert mine.ready(model).number == 1
    for name in (other, f"{catalogue.parent}/models/never-made"):
        assert denied(mine.api.models.GetModel, models_pb2.GetModelRequest(name=name))
        assert denied(mine.api.stages.Resolve, stages_pb2.ResolveRequest(name=name, stage="production"))
    assert denied(mine.api.models.CreateModel, models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="x"))
