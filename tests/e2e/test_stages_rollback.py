"""Rollback over real servers: where it goes, and where it cannot."""

import pytest

from registry_grpc.v1 import projects_pb2, stages_pb2
from tests.kit.catalogue import Catalogue
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


@pytest.fixture
def model(catalogue):
    """Versions 1, 2 and 3 held production in this order."""
    model = catalogue.model()
    for version in catalogue.readies(model, 3):
        catalogue.bring(version.name, "production")
    return model


def test_rollback_goes_to_the_version_before_and_back_again_on_promotion(catalogue, model):
    answer = catalogue.rollback(model, justification="p99 up")
    assert (answer.previous_stage.version_number, answer.stage.version_number) == (3, 2)
    assert answer.stage.justification == "p99 up"
    newest = catalogue.history(model, "production")[0]
    assert newest.action == stages_pb2.STAGE_ACTION_ROLLED_BACK
    assert (newest.version_number, newest.previous_version) == (2, f"{model}/versions/3")
    assert newest.from_stage == "archived"
    assert catalogue.version(f"{model}/versions/3").stage == "archived"


def test_rolling_back_twice_goes_two_steps_back_and_not_to_and_fro(catalogue, model):
    assert catalogue.rollback(model).stage.version_number == 2
    assert catalogue.rollback(model).stage.version_number == 1
    before = catalogue.revision()
    nowhere = refused(catalogue.rollback, model)
    assert (nowhere.code, nowhere.reason) == ("FAILED_PRECONDITION", "NO_ROLLBACK_TARGET")
    assert nowhere.facts["stage"] == f"{model}/stages/production"
    assert (catalogue.holder(model), catalogue.revision()) == (1, before)


def test_a_version_promoted_again_after_a_rollback_is_a_target_again(catalogue, model):
    assert catalogue.rollback(model).stage.version_number == 2
    catalogue.bring(f"{model}/versions/3", "production")
    four = catalogue.ready(model)
    catalogue.bring(four.name, "production")
    assert catalogue.rollback(model).stage.version_number == 3
    assert catalogue.rollback(model).stage.version_number == 2


def test_after_a_promotion_past_a_rollback_the_version_left_behind_is_passed_over(catalogue, model):
    assert catalogue.rollback(model).stage.version_number == 2
    four = catalogue.ready(model)
    catalogue.bring(four.name, "production")
    assert catalogue.rollback(model).stage.version_number == 2
    assert catalogue.rollback(model).stage.version_number == 1


def test_an_explicit_target_must_have_held_the_stage(catalogue, model):
    never = catalogue.ready(model)
    assert refused(catalogue.rollback, model, target_version=never.number).reason == "NO_ROLLBACK_TARGET"
    assert refused(catalogue.rollback, model, target_version=3).reason == "NO_ROLLBACK_TARGET"
    assert refused(catalogue.rollback, model, target_version=99).reason == "VERSION_NOT_FOUND"
    assert catalogue.rollback(model, target_version=1).stage.version_number == 1
    assert catalogue.rollback(model, target_version=3).stage.version_number == 3


def test_a_deleted_version_is_no_target(catalogue, model):
    catalogue.delete(f"{model}/versions/2")
    assert refused(catalogue.rollback, model, target_version=2).reason == "VERSION_STATE"
    assert catalogue.rollback(model).stage.version_number == 1


def test_a_vacated_stage_rolls_back_to_its_last_holder(catalogue, model):
    catalogue.vacate(model)
    answer = catalogue.rollback(model, expected_version=0)
    assert (answer.previous_stage.version, answer.stage.version_number) == ("", 3)


def test_rollback_of_a_stage_nobody_held_has_no_target(catalogue):
    model = catalogue.model()
    catalogue.ready(model)
    assert refused(catalogue.rollback, model).reason == "NO_ROLLBACK_TARGET"
    assert refused(catalogue.rollback, model, "canary").reason == "STAGE_NOT_FOUND"


def test_rollback_does_not_pull_a_version_from_where_the_stage_does_not_accept(catalogue, model):
    catalogue.promote(f"{model}/versions/2", "development")
    wrong = refused(catalogue.rollback, model)
    assert (wrong.reason, wrong.facts["source"]) == ("STATE_TRANSITION", "development")
    assert catalogue.holder(model) == 3


def test_a_graph_of_the_projects_own_is_obeyed(api):
    stage = projects_pb2.StageDefinition
    catalogue = Catalogue(
        api,
        stages=[
            stage(id="new", initial=True),
            stage(id="live", exclusive=True, accepts_from=["new", "old"], displaced_to="old"),
            stage(id="old", accepts_from=["live"]),
        ],
    )
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    assert one.stage == "new"
    catalogue.promote(one.name, "live")
    catalogue.promote(two.name, "live")
    assert catalogue.version(one.name).stage == "old"
    assert catalogue.rollback(model, "live").stage.version_number == 1
    assert catalogue.version(two.name).stage == "old"
    catalogue.vacate(model, "live")
    assert catalogue.version(one.name).stage == "old"
    assert refused(catalogue.promote, one.name, "archived").reason == "STAGE_NOT_FOUND"
