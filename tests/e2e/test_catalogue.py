"""Models, versions and projects over real servers: change, delete, bring back."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.v1 import models_pb2, projects_pb2, stages_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def api(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        api = server.api()
        yield api
        api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def get_model(catalogue, name):
    return catalogue.api.models.GetModel(models_pb2.GetModelRequest(name=name))


def update_model(catalogue, *paths, **fields):
    return catalogue.api.models.UpdateModel(
        models_pb2.UpdateModelRequest(model=models_pb2.Model(**fields), update_mask=FieldMask(paths=paths))
    )


def test_a_model_is_created_read_and_changed_by_mask(catalogue):
    name = catalogue.model("fraud", display_name="Fraud", description="a\nb", owner="risk", tags={"team": "risk"})
    made = get_model(catalogue, name)
    assert (made.display_name, made.description, made.owner, dict(made.tags)) == (
        "Fraud",
        "a\nb",
        "risk",
        {"team": "risk"},
    )
    assert made.creator == "user:admin"
    assert made.revision == catalogue.revision()
    only = update_model(catalogue, "owner", name=name, owner="ops", display_name="ignored")
    assert (only.owner, only.display_name) == ("ops", "Fraud")
    assert only.etag != made.etag
    populated = update_model(catalogue, name=name, description="c")
    assert (populated.description, populated.owner) == ("c", "ops")
    cleared = update_model(catalogue, "tags", "owner", name=name)
    assert (dict(cleared.tags), cleared.owner, cleared.description) == ({}, "", "c")
    whole = update_model(catalogue, "*", name=name, display_name="New")
    assert (whole.display_name, whole.description) == ("New", "")
    assert whole == get_model(catalogue, name)
    assert (whole.uid, whole.create_time) == (made.uid, made.create_time)


def test_an_update_with_a_stale_etag_is_aborted(catalogue):
    name = catalogue.model()
    first = get_model(catalogue, name)
    update_model(catalogue, name=name, owner="a", etag=first.etag)
    stale = refused(update_model, catalogue, name=name, owner="b", etag=first.etag)
    assert (stale.code, stale.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert stale.facts == {"resource": name, "currentEtag": get_model(catalogue, name).etag}


def test_a_version_in_use_is_not_deleted_and_every_holder_is_named(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    catalogue.alias(model, champion=1, blue=1)
    held = refused(catalogue.delete, one.name)
    assert (held.code, held.reason) == ("FAILED_PRECONDITION", "VERSION_IN_USE")
    assert set(held.subjects) == {
        f"{model}/aliases/champion",
        f"{model}/aliases/blue",
        f"{model}/stages/production",
    }
    whole = refused(catalogue.delete_model, model, force=True)
    assert (whole.reason, set(whole.subjects)) == ("VERSION_IN_USE", set(held.subjects))
    catalogue.unalias(model, "champion", "blue")
    assert set(refused(catalogue.delete, one.name).subjects) == {f"{model}/stages/production"}
    catalogue.vacate(model)
    assert catalogue.delete(one.name).HasField("delete_time")


def test_a_deleted_version_is_gone_from_lists_stages_and_latest_until_it_is_undeleted(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    deleted = catalogue.delete(two.name, etag=two.etag)
    assert deleted.purge_time.seconds - deleted.delete_time.seconds == 30 * 86_400
    assert catalogue.delete(two.name) == deleted
    assert [v.number for v in catalogue.versions(model)] == [1]
    assert [v.number for v in catalogue.versions(model, show_deleted=True)] == [2, 1]
    assert catalogue.version(two.name).delete_time == deleted.delete_time
    assert catalogue.resolve(model, alias="latest").version_number == 1
    assert catalogue.holder(model, "development") == 1
    for question in ({"version": 2}, {"manifest_digest": two.manifest_digest}):
        assert refused(catalogue.resolve, model, **question).reason == "VERSION_NOT_FOUND"
    assert refused(catalogue.update, two.name, owner="x").reason == "VERSION_NOT_FOUND"
    back = catalogue.undelete(two.name)
    assert (back.stage, back.HasField("delete_time"), back.HasField("purge_time")) == ("development", False, False)
    assert catalogue.resolve(model, alias="latest").version_number == 2
    again = refused(catalogue.undelete, two.name)
    assert (again.code, again.reason) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
    assert catalogue.ready(model).number == 3, one.name


def test_numbers_are_never_given_twice(catalogue):
    model = catalogue.model()
    for number in (1, 2):
        draft = catalogue.draft(model)
        assert draft.number == number
        catalogue.delete(draft.name)
    assert refused(catalogue.draft, model, version_label="\x01").code == "INVALID_ARGUMENT"
    assert catalogue.draft(model).number == 3


def test_an_undeleted_version_does_not_take_an_exclusive_stage_from_its_holder(api):
    stage = projects_pb2.StageDefinition
    catalogue = Catalogue(
        api,
        stages=[
            stage(id="new", initial=True),
            stage(id="live", exclusive=True, accepts_from=["new"], displaced_to="old"),
            stage(id="old", accepts_from=["*"]),
        ],
    )
    model = catalogue.model()
    one, two, three = catalogue.readies(model, 3)
    catalogue.promote(one.name, "live")
    catalogue.delete(one.name)
    assert catalogue.holder(model, "live") == 0
    assert catalogue.undelete(one.name).stage == "live"
    assert catalogue.holder(model, "live") == 1
    catalogue.delete(one.name)
    catalogue.promote(two.name, "live")
    assert catalogue.undelete(one.name).stage == ""
    assert catalogue.holder(model, "live") == 2
    assert [v.number for v in catalogue.versions(model, stage="live")] == [2]
    catalogue.promote(one.name, "old")
    assert three.stage == "new"


def test_a_model_with_versions_needs_force_and_comes_back_as_it_was(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    children = refused(catalogue.delete_model, model)
    assert (children.code, children.reason) == ("FAILED_PRECONDITION", "HAS_CHILDREN")
    deleted = catalogue.delete_model(model, force=True)
    assert deleted.HasField("delete_time")
    assert catalogue.delete_model(model) == deleted
    for call, arguments in (
        (catalogue.draft, (model,)),
        (catalogue.promote, (one.name, "staging")),
        (update_model, (catalogue,)),
    ):
        fields = {"name": model, "owner": "x"} if call is update_model else {}
        assert refused(call, *arguments, **fields).reason == "MODEL_NOT_FOUND"
    for question in ({"stage": "development"}, {"alias": "latest"}, {"version": 1}):
        gone = refused(catalogue.resolve, model, **question)
        assert (gone.code, gone.reason) == ("NOT_FOUND", "MODEL_NOT_FOUND")
    taken = refused(catalogue.model, model.rpartition("/")[2])
    assert (taken.code, taken.reason, taken.facts["softDeleted"]) == ("ALREADY_EXISTS", "RESOURCE_EXISTS", "true")
    listed = catalogue.api.models.ListModels
    assert not listed(models_pb2.ListModelsRequest(parent=catalogue.parent)).models
    shown = listed(models_pb2.ListModelsRequest(parent=catalogue.parent, show_deleted=True)).models
    assert [m.name for m in shown] == [model]
    back = catalogue.undelete_model(model)
    assert not back.HasField("delete_time")
    assert refused(catalogue.undelete_model, model).reason == "RESOURCE_EXISTS"
    assert catalogue.resolve(model, stage="development").version == one.name
    assert catalogue.resolve(model, alias="latest").version == one.name


def test_a_model_without_versions_is_deleted_without_force(catalogue):
    model = catalogue.model()
    catalogue.delete(catalogue.draft(model).name)
    assert catalogue.delete_model(model).HasField("delete_time")


def test_a_version_label_is_unique_in_its_model_and_never_changes(catalogue):
    model, other = catalogue.model(), catalogue.model()
    one = catalogue.draft(model, version_label="1.0.0")
    taken = refused(catalogue.draft, model, version_label="1.0.0")
    assert (taken.code, taken.reason, taken.facts["resource"]) == ("ALREADY_EXISTS", "RESOURCE_EXISTS", one.name)
    assert catalogue.draft(other, version_label="1.0.0").version_label == "1.0.0"
    fixed = refused(catalogue.update, one.name, "version_label", version_label="1.0.1")
    assert (fixed.code, fixed.reason) == ("INVALID_ARGUMENT", "IMMUTABLE_FIELD")
    assert fixed.fields == ("update_mask.paths[0]",)
    catalogue.delete(one.name)
    assert refused(catalogue.draft, model, version_label="1.0.0").reason == "RESOURCE_EXISTS"
    assert [v.number for v in catalogue.versions(model)] == []
    assert catalogue.draft(model).number == 2


def test_several_versions_are_read_in_one_call_or_none(catalogue):
    model, other = catalogue.model(), catalogue.model()
    names = [catalogue.draft(model).name, catalogue.draft(other).name]
    batch = catalogue.api.models.BatchGetVersions
    asked = [names[1], names[0], names[1]]
    answer = batch(versions_pb2.BatchGetVersionsRequest(parent=catalogue.parent, names=asked))
    assert [v.name for v in answer.versions] == asked
    missing = f"{model}/versions/77"
    absent = refused(batch, versions_pb2.BatchGetVersionsRequest(parent=catalogue.parent, names=[*names, missing]))
    assert (absent.reason, absent.facts["resource"]) == ("VERSION_NOT_FOUND", missing)
    foreign = refused(batch, versions_pb2.BatchGetVersionsRequest(parent="projects/default", names=[names[0]]))
    assert (foreign.reason, foreign.fields) == ("INVALID_FIELD", ("names[0]",))


def test_aliases_change_all_or_none_and_compare_first(catalogue):
    model = catalogue.model()
    catalogue.readies(model, 2)
    first = catalogue.alias(model, champion=1, shadow=2)
    assert [(a.name.rpartition("/")[2], a.version_number) for a in first.aliases] == [("champion", 1), ("shadow", 2)]
    update = catalogue.api.models.UpdateAliases
    request = models_pb2.UpdateAliasesRequest
    before = catalogue.revision()
    moved = refused(update, request(parent=model, set={"champion": 2}, expected={"champion": 2}))
    assert (moved.code, moved.reason) == ("ABORTED", "ALIAS_MOVED")
    assert moved.facts == {"alias": "champion", "expectedVersion": "2", "currentVersion": "1"}
    absent = refused(update, request(parent=model, set={"champion": 2}, delete=["ghost"]))
    assert (absent.code, absent.reason) == ("NOT_FOUND", "ALIAS_NOT_FOUND")
    missing = refused(update, request(parent=model, set={"champion": 2, "new": 9}))
    assert missing.reason == "VERSION_NOT_FOUND"
    assert catalogue.revision() == before
    assert catalogue.resolve(model, alias="champion").version_number == 1
    swapped = update(request(parent=model, set={"champion": 2}, delete=["shadow"], expected={"champion": 1, "new": 0}))
    assert [a.version_number for a in swapped.aliases] == [2]
    listed = catalogue.api.models.ListAliases(models_pb2.ListAliasesRequest(parent=model)).aliases
    assert [a.name for a in listed] == [f"{model}/aliases/champion"]
    assert refused(catalogue.resolve, model, alias="shadow").reason == "ALIAS_NOT_FOUND"


def update_stages(catalogue, stages):
    return catalogue.api.projects.UpdateProject(
        projects_pb2.UpdateProjectRequest(
            project=projects_pb2.Project(name=catalogue.parent, stages=stages),
            update_mask=FieldMask(paths=["stages"]),
        )
    )


def test_a_stage_list_that_would_strand_a_holder_is_refused(catalogue):
    project = catalogue.api.projects.GetProject(projects_pb2.GetProjectRequest(name=catalogue.parent))
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    for version in (one, two):
        catalogue.promote(version.name, "staging")
    catalogue.alias(model, canary=1)
    stages = {s.id: s for s in project.stages}
    without = [s for s in project.stages if s.id != "staging"]
    stages["development"].accepts_from[:] = ["archived"]
    stages["production"].accepts_from[:] = ["development"]
    before = catalogue.revision()
    stranded = refused(update_stages, catalogue, without)
    assert (stranded.code, stranded.reason) == ("FAILED_PRECONDITION", "STAGE_IN_USE")
    assert stranded.facts["stage"] == "staging"
    clash = refused(update_stages, catalogue, [*project.stages, projects_pb2.StageDefinition(id="canary")])
    assert (clash.code, clash.reason) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
    stages["staging"].exclusive, stages["staging"].displaced_to = True, "archived"
    crowded = refused(update_stages, catalogue, list(stages.values()))
    assert (crowded.reason, crowded.facts["stage"]) == ("STAGE_IN_USE", "staging")
    assert catalogue.revision() == before
    catalogue.promote(one.name, "archived")
    assert [s.exclusive for s in update_stages(catalogue, list(stages.values())).stages][1]
    three = catalogue.ready(model)
    catalogue.promote(three.name, "staging")
    assert catalogue.version(two.name).stage == "archived"
    assert [v.number for v in catalogue.versions(model, stage="staging")] == [3]


def test_a_stage_that_was_removed_is_not_found_and_its_name_is_free_for_an_alias(api):
    stage = projects_pb2.StageDefinition
    catalogue = Catalogue(
        api, stages=[stage(id="new", initial=True, accepts_from=["*"]), stage(id="qa", accepts_from=["*"])]
    )
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.promote(one.name, "qa")
    taken = refused(catalogue.alias, model, qa=1)
    assert (taken.code, taken.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    catalogue.promote(one.name, "new")
    update_stages(catalogue, [stage(id="new", initial=True, accepts_from=["*"])])
    request = stages_pb2.GetStageRequest(name=f"{model}/stages/qa")
    assert refused(catalogue.api.stages.GetStage, request).reason == "STAGE_NOT_FOUND"
    assert refused(catalogue.resolve, model, stage="qa").reason == "STAGE_NOT_FOUND"
    catalogue.alias(model, qa=1)
    assert catalogue.resolve(model, reference="qa").version_number == 1


def test_stage_graphs_that_contradict_themselves_are_refused_by_field(api):
    stage = projects_pb2.StageDefinition
    for stages, field in (
        ([stage(id="a")], "project.stages"),
        ([stage(id="a", initial=True), stage(id="a")], "project.stages[1].id"),
        ([stage(id="a", initial=True), stage(id="b", exclusive=True)], "project.stages[1].displaced_to"),
        ([stage(id="a", initial=True, accepts_from=["zz"])], "project.stages[0].accepts_from"),
        ([stage(id="a", initial=True, exclusive=True, displaced_to="b"), stage(id="b")], "project.stages[0].exclusive"),
        ([stage(id="latest", initial=True)], "project.stages[0].id"),
        ([stage(id=f"s{n}", initial=not n) for n in range(17)], "project.stages"),
    ):
        bad = refused(Catalogue, api, stages=stages)
        assert (bad.code, bad.reason, bad.fields[0]) == ("INVALID_ARGUMENT", "INVALID_FIELD", field)


def test_projects_do_not_see_each_other(catalogue, api):
    other = Catalogue(api)
    model = catalogue.model("shared")
    theirs = other.model("shared")
    assert get_model(catalogue, model).uid != get_model(other, theirs).uid
    assert catalogue.draft(model).number == other.draft(theirs).number == 1
    absent = refused(get_model, catalogue, f"projects/{new_id('p')}/models/shared")
    assert (absent.code, absent.reason) == ("NOT_FOUND", "PROJECT_NOT_FOUND")
