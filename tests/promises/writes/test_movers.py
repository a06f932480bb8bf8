"""P07: of 32 who move one pointer from the same state, through two replicas, one succeeds; readers see one holder."""

import threading

import pytest

from registry_grpc.v1 import models_pb2, stages_pb2
from tests.kit.catalogue import MIN_REVISION, Catalogue, at_once
from tests.kit.deployments import deployed, two_replicas
from tests.kit.refusals import Refusal, attempt

MOVERS, ROUNDS = 32, 4


@pytest.fixture(scope="module", params=["one process on SQLite", "two replicas on PostgreSQL"])
def catalogues(request):
    """The same project through each server there is."""
    environment = request.getfixturevalue("service_environment")
    if request.param.startswith("one"):
        with deployed("sqlite+directory", environment) as server:
            api = server.api()
            yield [Catalogue(api)]
            api.close()
        return
    with two_replicas(environment) as servers:
        apis = [server.api() for server in servers]
        here = Catalogue(apis[0])
        yield [here, here.on(apis[1])]
        for api in apis:
            api.close()


def race(catalogues, move):
    """What 32 movers at once were told, split over the servers: winners and losers."""
    results = at_once(MOVERS, lambda number: attempt(move, catalogues[number % len(catalogues)], number))
    losers = [each for each in results if isinstance(each, Refusal)]
    return [each for each in results if not isinstance(each, Refusal)], losers


@pytest.mark.promise("P07", "racing movers")
@pytest.mark.promise("P07", "reader")
def test_of_32_movers_by_one_etag_or_expected_holder_one_wins_and_readers_see_one_holder(catalogues):
    here = catalogues[0]
    model = here.model()
    one, two, three = here.readies(model, 3)
    revision = here.bring(one.name, "production").revision
    for other in (two, three):
        here.promote(other.name, "staging")
    for catalogue in catalogues:
        catalogue.resolve(model, stage="production", min_revision=revision)
    with Readers(catalogues, model) as readers:
        for round_ in range(ROUNDS):
            # The winner of the round before may have been another replica's.
            stage = here.api.stages.GetStage(
                stages_pb2.GetStageRequest(name=f"{model}/stages/production"), metadata=[(MIN_REVISION, str(revision))]
            )
            others = [version.name for version in (one, two, three) if version.name != stage.version]
            for name in others:
                here.promote(name, "staging")
            condition = {"etag": stage.etag} if round_ % 2 else {"expected_version": stage.version_number}
            winners, losers = race(
                catalogues,
                lambda at, number, others=others, condition=condition: at.promote(
                    others[number % 2], "production", **condition
                ),
            )
            # Promoting the version that has just won changes nothing, whatever was expected: it is no second winner.
            assert len({winner.revision for winner in winners}) == 1
            assert len({winner.stage.version for winner in winners}) == 1
            assert winners[0].stage.version != stage.version
            revision = winners[0].revision
            assert {loser.reason for loser in losers} == {"ETAG_MISMATCH" if round_ % 2 else "STAGE_MOVED"}
            assert len(here.history(model, "production")) == round_ + 2
    assert not readers.faults
    assert len(readers.listed) > 10
    assert {len(each) for each in readers.listed} == {1}


@pytest.mark.promise("P07", "racing movers")
def test_of_32_movers_of_an_alias_with_one_expectation_one_wins(catalogues):
    here = catalogues[0]
    model = here.model()
    here.readies(model, 3)
    revision = 0
    for round_ in range(ROUNDS):
        expected = here.resolve(model, alias="champion", min_revision=revision).version_number if round_ else 0
        before = here.revision()
        others = [number for number in (1, 2, 3) if number != expected]

        def move(at, number, others=others, expected=expected):
            to = {"champion": others[number % len(others)], f"own-{number}": 1}
            return at.api.models.UpdateAliases(
                models_pb2.UpdateAliasesRequest(parent=model, set=to, expected={"champion": expected})
            )

        winners, losers = race(catalogues, move)
        assert len(winners) == 1
        assert {loser.reason for loser in losers} == {"ALIAS_MOVED"}
        revision = winners[0].revision
        assert revision == before + 1
        assert {at.revision() for at in catalogues} == {revision}
        for catalogue in catalogues:
            seen = catalogue.resolve(model, alias="champion", min_revision=winners[0].revision)
            assert seen.version_number in {alias.version_number for alias in winners[0].aliases}


class Readers:
    """One reader of each server that asks who holds production, over and over, in two ways."""

    def __init__(self, catalogues, model):
        self._model = model
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in catalogues]
        self.listed, self.faults = [], []

    def _run(self, catalogue):
        try:
            while not self._stop.is_set():
                assert catalogue.resolve(self._model, stage="production").version_number
                self.listed.append([v.number for v in catalogue.versions(self._model, stage="production")])
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.faults.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
