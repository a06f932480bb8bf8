"""What every mutation promises over real servers: replays, dry runs, and reading what one wrote."""

import pytest

from registry_grpc.v1 import models_pb2, projects_pb2, server_pb2, stages_pb2, versions_pb2
from tests.kit.access import Office
from tests.kit.catalogue import MIN_REVISION, REVISION, Catalogue, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed, two_replicas
from tests.kit.refusals import refused


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture(scope="module")
def bob(server):
    """A second principal, with the same rights."""
    office = Office(server)
    office.bind("admin", "", "user:bob")
    api = server.api(office.issue("user:bob").secret)
    yield api
    api.close()
    office.close()


@pytest.fixture(scope="module")
def api(server):
    api = server.api()
    yield api
    api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def mutations(catalogue):
    """Every mutation of the catalogue and of stages: name to method and request."""
    model, spare = catalogue.model(), catalogue.model()
    one, two = catalogue.readies(model, 2)
    catalogue.bring(one.name, "production")
    catalogue.bring(two.name, "production")
    catalogue.promote(one.name, "staging")
    draft, gone = catalogue.draft(model), catalogue.draft(model)
    catalogue.upload(draft.name, "w", b"w")
    catalogue.delete(gone.name)
    deleted = catalogue.model()
    catalogue.delete_model(deleted)
    models, stages, projects = catalogue.api.models, catalogue.api.stages, catalogue.api.projects
    stage = f"{model}/stages/production"
    return {
        "CreateProject": (projects.CreateProject, projects_pb2.CreateProjectRequest(project_id=f"q{request_id()[:8]}")),
        "UpdateProject": (
            projects.UpdateProject,
            projects_pb2.UpdateProjectRequest(project=projects_pb2.Project(name=catalogue.parent, description="d")),
        ),
        "CreateModel": (models.CreateModel, models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="fresh")),
        "UpdateModel": (
            models.UpdateModel,
            models_pb2.UpdateModelRequest(model=models_pb2.Model(name=spare, owner="o")),
        ),
        "DeleteModel": (models.DeleteModel, models_pb2.DeleteModelRequest(name=spare)),
        "UndeleteModel": (models.UndeleteModel, models_pb2.UndeleteModelRequest(name=deleted)),
        "CreateVersion": (models.CreateVersion, versions_pb2.CreateVersionRequest(parent=model)),
        "UpdateVersion": (
            models.UpdateVersion,
            versions_pb2.UpdateVersionRequest(version=versions_pb2.ModelVersion(name=one.name, owner="o")),
        ),
        "FinalizeVersion": (models.FinalizeVersion, versions_pb2.FinalizeVersionRequest(name=draft.name)),
        "DeleteVersion": (models.DeleteVersion, versions_pb2.DeleteVersionRequest(name=draft.name)),
        "UndeleteVersion": (models.UndeleteVersion, versions_pb2.UndeleteVersionRequest(name=gone.name)),
        "UpdateAliases": (models.UpdateAliases, models_pb2.UpdateAliasesRequest(parent=model, set={"champion": 2})),
        "PromoteVersion": (
            stages.PromoteVersion,
            stages_pb2.PromoteVersionRequest(name=one.name, stage="production"),
        ),
        "RollbackStage": (stages.RollbackStage, stages_pb2.RollbackStageRequest(name=stage)),
        "VacateStage": (stages.VacateStage, stages_pb2.VacateStageRequest(name=stage)),
    }


NAMES = [
    "CreateProject",
    "UpdateProject",
    "CreateModel",
    "UpdateModel",
    "DeleteModel",
    "UndeleteModel",
    "CreateVersion",
    "UpdateVersion",
    "FinalizeVersion",
    "DeleteVersion",
    "UndeleteVersion",
    "UpdateAliases",
    "PromoteVersion",
    "RollbackStage",
    "VacateStage",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_changes_nothing_and_a_repeated_request_answers_the_first_bytes(catalogue, name):
    method, request = mutations(catalogue)[name]
    request.request_id = request_id()
    before = catalogue.revision()
    request.validate_only = True
    dry, call = method.with_call(request)
    assert type(dry)().SerializeToString() != dry.SerializeToString()
    assert int(dict(call.trailing_metadata())[REVISION]) == before == catalogue.revision()
    request.validate_only = False
    first, call = method.with_call(request)
    revision = int(dict(call.trailing_metadata())[REVISION])
    assert revision == before + 1 == catalogue.revision()
    # Things go on; the answer to a repeated request stays what it was.
    catalogue.model()
    if name == "CreateModel":
        catalogue.delete_model(first.name)
    if name in {"PromoteVersion", "RollbackStage"}:
        catalogue.vacate(first.stage.name.rpartition("/stages/")[0])
    later = catalogue.revision()
    again, call = method.with_call(request)
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert int(dict(call.trailing_metadata())[REVISION]) == revision
    request.request_id = request.request_id.upper()
    assert method(request) == first
    assert catalogue.revision() == later


def test_a_request_id_is_for_one_request_of_one_principal(catalogue, bob):
    asked = request_id()
    create = catalogue.api.models.CreateModel
    request = models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="a", request_id=asked)
    create(request)
    before = catalogue.revision()
    for other in (
        models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="b", request_id=asked),
        models_pb2.CreateModelRequest(
            parent=catalogue.parent, model_id="a", request_id=asked, model=models_pb2.Model(owner="x")
        ),
    ):
        reused = refused(create, other)
        assert (reused.code, reused.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
        assert reused.facts["requestId"] == asked
    delete = models_pb2.DeleteModelRequest(name=f"{catalogue.parent}/models/a", request_id=asked)
    assert refused(catalogue.api.models.DeleteModel, delete).reason == "REQUEST_ID_REUSED"
    assert catalogue.revision() == before
    theirs = models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="c", request_id=asked)
    made = bob.models.CreateModel(theirs)
    assert (made.name, made.creator) == (f"{catalogue.parent}/models/c", "user:bob")


def test_a_request_that_failed_may_be_made_again_under_its_id(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    asked = request_id()
    assert refused(catalogue.promote, one.name, "production", request_id=asked).reason == "STATE_TRANSITION"
    catalogue.promote(one.name, "staging")
    assert catalogue.promote(one.name, "production", request_id=asked).stage.version_number == 1


def test_creating_what_exists_is_refused_with_its_name(catalogue):
    model = catalogue.model("fraud")
    before = catalogue.revision()
    taken = refused(catalogue.model, "fraud")
    assert (taken.code, taken.reason, taken.facts) == ("ALREADY_EXISTS", "RESOURCE_EXISTS", {"resource": model})
    again = projects_pb2.CreateProjectRequest(project_id=catalogue.parent.removeprefix("projects/"))
    assert refused(catalogue.api.projects.CreateProject, again).facts == {"resource": catalogue.parent}
    assert catalogue.revision() == before


@pytest.mark.promise("P05", "replicas")
def test_one_reads_what_one_wrote_through_another_replica(service_environment):
    with two_replicas(service_environment) as (first, second):
        here = Catalogue(first.api())
        there = here.on(second.api())
        model = here.model()
        one, two = here.readies(model, 2)
        for number in range(20):
            version = (one, two)[number % 2]
            here.promote(version.name, "staging")
            _, call = here.api.stages.PromoteVersion.with_call(
                stages_pb2.PromoteVersionRequest(name=version.name, stage="production")
            )
            revision = dict(call.trailing_metadata())[REVISION]
            fresh = ((MIN_REVISION, revision),)
            resolved, call = there.api.stages.Resolve.with_call(
                stages_pb2.ResolveRequest(name=model, stage="production"), metadata=fresh
            )
            assert resolved.version == version.name
            assert int(dict(call.trailing_metadata())[REVISION]) >= int(revision)
            get = stages_pb2.GetStageRequest(name=f"{model}/stages/production")
            assert there.api.stages.GetStage(get, metadata=fresh).version == version.name
            listed = versions_pb2.ListVersionsRequest(parent=model, stage="production")
            assert [v.name for v in there.api.models.ListVersions(listed, metadata=fresh).versions] == [version.name]
            batch = stages_pb2.BatchResolveRequest(
                parent=here.parent,
                requests=[stages_pb2.ResolveRequest(name=model, stage="production", min_revision=int(revision))],
            )
            assert there.api.stages.BatchResolve(batch).results[0].response.version == version.name
            info, _ = there.api.server.GetServerInfo.with_call(server_pb2.GetServerInfoRequest(), metadata=fresh)
            assert info.current_revision >= int(revision)
        here.api.close()
        there.api.close()
