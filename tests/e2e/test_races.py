"""Races over real servers: one winner, one holder, no number twice."""

import threading

import pytest

from registry_grpc.v1 import models_pb2, stages_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, at_once
from tests.kit.deployments import DEPLOYMENTS, deployed, two_replicas
from tests.kit.refusals import Refusal, attempt

RACERS = 32


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.mark.promise("P07", "racing movers")
def test_of_many_promotions_with_the_same_expectation_exactly_one_wins(catalogue):
    model = catalogue.model()
    versions = catalogue.readies(model, RACERS + 1)
    for version in versions:
        catalogue.promote(version.name, "staging")
    catalogue.promote(versions[-1].name, "production")
    results = at_once(
        RACERS,
        lambda n: attempt(catalogue.promote, versions[n].name, "production", expected_version=RACERS + 1),
    )
    winners = [each for each in results if not isinstance(each, Refusal)]
    losers = [each for each in results if isinstance(each, Refusal)]
    assert len(winners) == 1
    assert {(each.code, each.reason) for each in losers} == {("ABORTED", "STAGE_MOVED")}
    assert {each.facts["currentVersion"] for each in losers} == {str(winners[0].stage.version_number)}
    assert [v.number for v in catalogue.versions(model, stage="production")] == [winners[0].stage.version_number]


@pytest.mark.promise("P07", "racing movers")
def test_of_many_promotions_by_the_same_etag_exactly_one_wins(catalogue):
    model = catalogue.model()
    versions = catalogue.readies(model, 8)
    for version in versions:
        catalogue.promote(version.name, "staging")
    vacant = catalogue.api.stages.GetStage(stages_pb2.GetStageRequest(name=f"{model}/stages/production"))
    results = at_once(8, lambda n: attempt(catalogue.promote, versions[n].name, "production", etag=vacant.etag))
    assert sorted(each.reason if isinstance(each, Refusal) else "" for each in results) == [""] + 7 * ["ETAG_MISMATCH"]


class Watching:
    """Asks who holds production, over and over, in two ways."""

    def __init__(self, catalogue, model):
        self._catalogue, self._model = catalogue, model
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.resolved, self.listed, self.faults = [], [], []

    def _run(self):
        try:
            while not self._stop.is_set():
                self.resolved.append(self._catalogue.resolve(self._model, stage="production").version_number)
                self.listed.append([v.number for v in self._catalogue.versions(self._model, stage="production")])
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.faults.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def promote_to_and_fro(catalogue, model, versions, times):
    for number in range(times):
        version = versions[number % 2]
        catalogue.promote(version.name, "staging")
        catalogue.promote(version.name, "production")


def held_by_one(watching):
    assert not watching.faults
    assert len(watching.listed) > 20
    assert {len(each) for each in watching.listed} == {1}
    assert {1, 2} >= set(watching.resolved)


@pytest.mark.promise("P07", "reader")
def test_a_reader_never_sees_zero_or_two_holders_during_200_promotions(catalogue, server):
    model = catalogue.model()
    versions = catalogue.readies(model, 2)
    catalogue.bring(versions[1].name, "production")
    reader = server.api()
    with Watching(catalogue.on(reader), model) as watching:
        promote_to_and_fro(catalogue, model, versions, 100)
    reader.close()
    held_by_one(watching)
    assert len(catalogue.history(model, "production")) == 101


@pytest.mark.promise("P07", "reader")
def test_a_reader_of_another_replica_never_sees_zero_or_two_holders(service_environment):
    with two_replicas(service_environment) as (first, second):
        here = Catalogue(first.api())
        there = here.on(second.api())
        model = here.model()
        versions = here.readies(model, 2)
        revision = here.bring(versions[1].name, "production").revision
        there.resolve(model, stage="production", min_revision=revision)
        with Watching(there, model) as watching:
            promote_to_and_fro(here, model, versions, 100)
        held_by_one(watching)
        here.api.close()
        there.api.close()


def test_both_replicas_promote_at_once_and_agree_afterwards(service_environment):
    with two_replicas(service_environment) as (first, second):
        here = Catalogue(first.api())
        there = here.on(second.api())
        model = here.model()
        versions = here.readies(model, 8)
        for version in versions:
            here.promote(version.name, "staging")

        def change(number):
            catalogue = (here, there)[number % 2]
            return attempt(catalogue.promote, versions[number].name, "production")

        results = at_once(8, change)
        assert not [each for each in results if isinstance(each, Refusal)]
        last = max(results, key=lambda each: each.revision)
        for catalogue in (here, there):
            answer = catalogue.resolve(model, stage="production", min_revision=last.revision)
            assert answer.version == last.stage.version
            assert [v.name for v in catalogue.versions(model, stage="production")] == [last.stage.version]
        assert len({each.revision for each in results}) == 8
        here.api.close()
        there.api.close()


def test_numbers_are_dense_over_1600_creations_by_32_writers(catalogue):
    model = catalogue.model()
    request = versions_pb2.CreateVersionRequest(parent=model)
    before = catalogue.revision()

    def create(_):
        return [catalogue.api.models.CreateVersion(request) for _ in range(50)]

    made = [version for batch in at_once(RACERS, create) for version in batch]
    assert sorted(version.number for version in made) == list(range(1, 1601))
    assert sorted(version.revision for version in made) == list(range(before + 1, before + 1601))
    by_number = sorted(made, key=lambda version: version.number)
    assert [version.revision for version in by_number] == sorted(version.revision for version in made)


@pytest.mark.promise("P07", "racing movers")
def test_of_many_alias_changes_with_the_same_expectation_exactly_one_wins(catalogue):
    model = catalogue.model()
    catalogue.readies(model, 8)
    update = catalogue.api.models.UpdateAliases
    for round_ in range(5):
        expected = catalogue.resolve(model, alias="champion").version_number if round_ else 0
        others = [number for number in range(1, 9) if number != expected]

        def move(n, others=others, expected=expected):
            request = models_pb2.UpdateAliasesRequest(
                parent=model, set={"champion": others[n], "twin": others[n]}, expected={"champion": expected}
            )
            return attempt(update, request)

        results = at_once(7, move)
        winners = [each for each in results if not isinstance(each, Refusal)]
        assert len(winners) == 1
        assert {each.reason for each in results if isinstance(each, Refusal)} == {"ALIAS_MOVED"}
        aliases = {alias.version_number for alias in winners[0].aliases}
        assert aliases == {catalogue.resolve(model, alias=each).version_number for each in ("champion", "twin")}


def test_of_many_who_create_one_model_one_succeeds_and_twins_share_the_answer(catalogue):
    results = at_once(RACERS, lambda _: attempt(catalogue.model, "same"))
    assert sorted(each.reason if isinstance(each, Refusal) else "" for each in results) == [""] + 31 * [
        "RESOURCE_EXISTS"
    ]
    request = models_pb2.CreateModelRequest(
        parent=catalogue.parent, model_id="twins", request_id="3f2b8c1e-5a44-4c2e-9d0b-7a1c2e3d4f50"
    )
    before = catalogue.revision()
    answers = at_once(RACERS, lambda _: attempt(catalogue.api.models.CreateModel, request))
    assert len({each.SerializeToString(deterministic=True) for each in answers}) == 1
    assert catalogue.revision() == before + 1


def test_stage_changes_and_deletions_at_once_leave_no_deleted_holder(catalogue):
    model = catalogue.model()
    for _ in range(6):
        version = catalogue.ready(model)
        results = at_once(
            2,
            lambda n, name=version.name: attempt(
                *((catalogue.promote, name, "staging") if n else (catalogue.delete, name))
            ),
        )
        assert sum(isinstance(each, Refusal) for each in results) == 1
        now = catalogue.version(version.name)
        assert now.HasField("delete_time") == isinstance(results[1], Refusal)
        holders = [v.number for v in catalogue.versions(model, stage="staging")]
        assert (version.number in holders) != now.HasField("delete_time")
