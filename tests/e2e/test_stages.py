"""Stages over real servers: how versions move, who is displaced, what the history says."""

import pytest

from registry_grpc.v1 import projects_pb2, stages_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused

A = stages_pb2.StageAction


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def api(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        api = server.api()
        yield api
        api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def rows(history):
    return [
        (row.stage, row.from_stage, row.version_number, A.Name(row.action).removeprefix("STAGE_ACTION_"))
        for row in history
    ]


def test_a_project_has_the_default_graph(catalogue):
    project = catalogue.api.projects.GetProject(projects_pb2.GetProjectRequest(name=catalogue.parent))
    assert [(s.id, s.exclusive, s.protected, s.initial, list(s.accepts_from)) for s in project.stages] == [
        ("development", False, False, True, ["staging", "archived"]),
        ("staging", False, True, False, ["development", "archived"]),
        ("production", True, True, False, ["staging"]),
        ("archived", False, False, False, ["*"]),
    ]
    assert project.stages[2].displaced_to == "archived"


def test_the_road_to_production_displaces_the_holder_into_archived(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    assert (one.stage, two.stage) == ("development", "development")
    catalogue.bring(one.name, "production")
    catalogue.promote(two.name, "staging")
    answer = catalogue.promote(two.name, "production", justification="better\non DE")
    assert answer.previous_stage.version == one.name
    assert (answer.stage.version, answer.stage.version_number) == (two.name, 2)
    assert answer.stage.manifest_digest == two.manifest_digest
    assert answer.stage.previous_version == one.name
    assert answer.stage.justification == "better\non DE"
    assert answer.stage.generation == answer.previous_stage.generation + 1
    assert answer.revision == answer.stage.revision == catalogue.revision()
    assert catalogue.version(one.name).stage == "archived"
    assert catalogue.version(two.name).stage == "production"
    assert [v.number for v in catalogue.versions(model, stage="production")] == [2]


def test_history_has_a_row_for_every_move(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    catalogue.bring(one.name, "production")
    catalogue.promote(two.name, "staging")
    asked = request_id()
    change = catalogue.promote(two.name, "production", justification="why", request_id=asked)
    catalogue.vacate(model)
    history = catalogue.history(model)
    assert rows(history) == [
        ("archived", "production", 2, "VACATED"),
        ("production", "staging", 2, "PROMOTED"),
        ("archived", "production", 1, "DISPLACED"),
        ("staging", "development", 2, "PROMOTED"),
        ("production", "staging", 1, "PROMOTED"),
        ("staging", "development", 1, "PROMOTED"),
        ("development", "", 2, "FINALIZED"),
        ("development", "", 1, "FINALIZED"),
    ]
    row = history[1]
    assert (row.version, row.manifest_digest, row.previous_version) == (two.name, two.manifest_digest, one.name)
    assert (row.actor, row.justification, row.request_id) == ("user:admin", "why", asked)
    assert row.revision == history[2].revision == change.revision
    assert row.assign_time == change.stage.assign_time
    assert [each.revision for each in history] == sorted((each.revision for each in history), reverse=True)
    assert rows(catalogue.history(model, "production")) == [rows(history)[1], rows(history)[4]]


def test_history_pages_without_loss_or_repeat(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    for version in (one, two):
        catalogue.bring(version.name, "production")
    whole = catalogue.history(model)
    request = stages_pb2.ListStageHistoryRequest(parent=model, page_size=3)
    found = []
    while True:
        page = catalogue.api.stages.ListStageHistory(request)
        found += page.assignments
        if not page.next_page_token:
            break
        assert len(page.assignments) == 3
        request.page_token = page.next_page_token
    assert found == whole


def test_promoting_the_holder_again_changes_nothing(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    first = catalogue.bring(one.name, "production")
    before = catalogue.revision()
    again, call = catalogue.api.stages.PromoteVersion.with_call(
        stages_pb2.PromoteVersionRequest(name=one.name, stage="production", expected_version=0)
    )
    assert again.stage == again.previous_stage == first.stage
    assert again.revision == first.revision
    assert catalogue.revision() == before
    assert int(dict(call.trailing_metadata())["x-registry-revision"]) >= first.revision
    assert len(catalogue.history(model, "production")) == 1


def test_compare_and_swap_by_expected_version_and_by_etag(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    for version in (one, two):
        catalogue.promote(version.name, "staging")
    before = catalogue.revision()
    moved = refused(catalogue.promote, one.name, "production", expected_version=2)
    assert (moved.code, moved.reason) == ("ABORTED", "STAGE_MOVED")
    assert moved.facts["expectedVersion"] == "2"
    assert moved.facts["currentVersion"] == "0"
    vacant = catalogue.api.stages.GetStage(stages_pb2.GetStageRequest(name=f"{model}/stages/production"))
    assert (vacant.version, vacant.revision, vacant.generation) == ("", 0, 0)
    assert vacant.etag
    first = catalogue.promote(one.name, "production", expected_version=0, etag=vacant.etag)
    stale = refused(catalogue.promote, two.name, "production", etag=vacant.etag)
    assert (stale.code, stale.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert stale.facts["currentEtag"] == first.stage.etag
    assert refused(catalogue.vacate, model, expected_version=2).reason == "STAGE_MOVED"
    assert refused(catalogue.vacate, model, etag=vacant.etag).reason == "ETAG_MISMATCH"
    assert refused(catalogue.rollback, model, expected_version=2).reason == "STAGE_MOVED"
    assert catalogue.revision() == before + 1
    second = catalogue.promote(two.name, "production", expected_version=1, etag=first.stage.etag)
    assert second.stage.version_number == 2


def test_a_promotion_may_pin_the_content(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    wrong = refused(catalogue.promote, one.name, "staging", manifest_digest="sha256:" + "0" * 64)
    assert (wrong.code, wrong.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    assert wrong.facts == {"expected": "sha256:" + "0" * 64, "actual": one.manifest_digest}
    assert catalogue.promote(one.name, "staging", manifest_digest=one.manifest_digest).stage.version == one.name


@pytest.mark.parametrize("verb", ["promote", "rollback", "vacate"])
def test_validate_only_checks_everything_and_changes_nothing(catalogue, verb):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    catalogue.bring(one.name, "production")
    catalogue.bring(two.name, "production")
    catalogue.promote(one.name, "staging")
    calls = {
        "promote": (lambda **k: catalogue.promote(one.name, "production", **k), 1),
        "rollback": (lambda **k: catalogue.rollback(model, **k), 1),
        "vacate": (lambda **k: catalogue.vacate(model, **k), 0),
    }
    call, expected = calls[verb]
    before, history = catalogue.revision(), catalogue.history(model)
    asked = request_id()
    dry = call(validate_only=True, request_id=asked)
    assert (dry.stage.version_number, dry.previous_stage.version_number) == (expected, 2)
    for options in ({"validate_only": True}, {}):
        assert refused(call, expected_version=7, **options).reason == "STAGE_MOVED"
    assert (catalogue.revision(), catalogue.history(model), catalogue.holder(model)) == (before, history, 2)
    wet = call(request_id=asked)
    assert (wet.stage.version_number, wet.revision) == (expected, before + 1)


def test_illegal_moves_are_refused_and_change_nothing(catalogue):
    model = catalogue.model()
    ready, draft = catalogue.ready(model), catalogue.draft(model)
    gone = catalogue.ready(model)
    catalogue.delete(gone.name)
    before = catalogue.revision()
    jump = refused(catalogue.promote, ready.name, "production")
    assert (jump.code, jump.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION")
    assert jump.facts == {"source": "development", "to": "production", "accepts": "staging"}
    unfinished = refused(catalogue.promote, draft.name, "staging")
    assert (unfinished.code, unfinished.reason) == ("FAILED_PRECONDITION", "VERSION_STATE")
    assert refused(catalogue.promote, gone.name, "staging").reason == "VERSION_STATE"
    unknown = refused(catalogue.promote, ready.name, "canary")
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "STAGE_NOT_FOUND")
    assert unknown.facts["stages"] == "development, staging, production, archived"
    assert refused(catalogue.vacate, model).reason == "STAGE_VACANT"
    assert refused(catalogue.promote, f"{model}/versions/99", "staging").reason == "VERSION_NOT_FOUND"
    assert catalogue.revision() == before


def test_a_non_exclusive_stage_answers_its_newest_holder_and_falls_back_when_it_leaves(catalogue):
    model = catalogue.model()
    one, two, three = catalogue.readies(model, 3)
    for version in (two, one, three):
        catalogue.promote(version.name, "staging")
    assert catalogue.holder(model, "staging") == 3
    assert sorted(v.number for v in catalogue.versions(model, stage="staging")) == [1, 2, 3]
    catalogue.promote(three.name, "archived")
    assert catalogue.holder(model, "staging") == 1
    assert catalogue.resolve(model, stage="staging").version_number == 1
    catalogue.promote(one.name, "production")
    assert catalogue.resolve(model, stage="staging").version_number == 2
    catalogue.vacate(model, "staging")
    assert refused(catalogue.resolve, model, stage="staging").reason == "STAGE_VACANT"
    assert catalogue.holder(model, "staging") == 0


def test_a_stage_list_shows_every_stage_in_the_projects_order(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.promote(one.name, "staging")
    listed = catalogue.api.stages.ListStages(stages_pb2.ListStagesRequest(parent=model)).stages
    assert [(s.name.rpartition("/")[2], s.version_number) for s in listed] == [
        ("development", 0),
        ("staging", 1),
        ("production", 0),
        ("archived", 0),
    ]
    assert listed[0].generation == 2
    foreign = refused(catalogue.api.stages.ListStages, stages_pb2.ListStagesRequest(parent=model, page_token="x"))
    assert (foreign.code, foreign.reason) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


def test_a_vacated_stage_takes_a_new_holder_and_keeps_counting(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    held = catalogue.bring(one.name, "production").stage
    vacated = catalogue.vacate(model, justification="bad data")
    assert (vacated.stage.version, vacated.stage.generation) == ("", held.generation + 1)
    assert vacated.stage.previous_version == one.name
    assert not vacated.stage.HasField("assign_time")
    assert catalogue.version(one.name).stage == "archived"
    assert not catalogue.versions(model, stage="production")
    taken = catalogue.bring(two.name, "production").stage
    assert (taken.version_number, taken.generation) == (2, held.generation + 2)


def test_a_version_is_listed_with_its_stage_and_aliases(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    catalogue.alias(model, champion=1, blue=1)
    shown = catalogue.api.models.ListVersions(versions_pb2.ListVersionsRequest(parent=model)).versions[0]
    assert (shown.stage, list(shown.aliases)) == ("production", ["blue", "champion"])
