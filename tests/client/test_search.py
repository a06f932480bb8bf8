"""`registry.search`, `registry.search_models` and `registry.best` over a real server."""

import itertools
import math
import uuid

import pytest

from registry_grpc.client import FailedPrecondition, InvalidArgument, NotFound
from registry_grpc.v1 import catalogue_pb2


@pytest.fixture
def team():
    """A tag that nothing else of this server has."""
    return f"team-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def fraud(registry, team):
    """A model with five drafts; the values of `auc` are 0.0 to 0.4."""
    name = f"fraud-{team}"
    registry.create_model(name, tags={"team": team}, description=f"Finds {team} fraud")
    for at in range(5):
        registry.create_version(
            name,
            tags={"team": team, "odd": str(at % 2)},
            metrics=[{"name": "auc", "value": at / 10, "direction": "maximise", "dataset": "q3"}],
            model_card="A card",
            description="Payments of shops",
        )
    return name


def numbers(matches):
    return [match.version.number for match in matches]


def test_a_search_goes_on_over_its_pages_and_may_be_asked_again(registry, fraud, team):
    found = registry.search(filter=f"tags.team = {team}", order_by="metrics.auc desc", page_size=2, facets=["tags.odd"])
    assert numbers(found) == [5, 4, 3, 2, 1]
    assert numbers(itertools.islice(found, 3)) == [5, 4, 3]
    assert [(each.value, each.count) for each in found.facets[0].values] == [("0", 3), ("1", 2)]
    assert numbers(registry.search("payment", filter=f"tags.team = {team} AND number > 3", project="-")) == [4, 5]
    assert next(iter(registry.search("payment", filter=f"tags.team = {team}"))).snippet == "Payments of shops"
    basic, full = (next(iter(registry.search(filter=f"tags.team = {team}", full=full))) for full in (False, True))
    assert (basic.version.model_card, full.version.model_card) == ("", "A card")


def test_models_are_searched_by_their_versions(registry, fraud, team):
    found = list(registry.search_models(team, version_filter="metrics.auc > 0.25", facets=["owner"]))
    assert [match.model.name.rpartition("/")[2] for match in found] == [fraud]
    assert found[0].newest_match.number == 5
    assert list(registry.search_models(team, version_filter="metrics.auc > 9")) == []


def test_the_best_says_why(registry, fraud, team):
    answer = registry.best("auc", filter=f"tags.team = {team}", runners_up=1)
    assert answer.best.version.number == 5
    assert [each.version.number for each in answer.runners_up] == [4]
    assert "highest auc of 5: 0.4" in answer.reason
    worst = registry.best(
        "auc",
        filter=f"tags.team = {team}",
        data="q3",
        direction="minimise",
        tie_breaks=["loss", {"metric": "f1", "slice": "de"}, catalogue_pb2.Objective(metric="x")][:0],
    )
    assert worst.best.version.number == 1
    broken = registry.best("auc", filter=f"tags.team = {team}", tie_breaks=[{"metric": "f1", "direction": "maximise"}])
    assert math.isnan(broken.best.values[1])
    with pytest.raises(NotFound) as none:
        registry.best("auc", filter=f"tags.team = {team}", data="q3@2026-09")
    assert none.value.reason == "NO_CANDIDATE"
    with pytest.raises(FailedPrecondition) as mute:
        registry.best("auc", filter=f"tags.team = {team}", tie_breaks=["loss"])
    assert mute.value.reason == "NO_DIRECTION"
    with pytest.raises(InvalidArgument):
        registry.best("auc", tie_breaks=[{"slice": "de"}])


def test_a_filter_that_cannot_be_read_names_the_column(registry):
    with pytest.raises(InvalidArgument) as caught:
        list(registry.search(filter="ownr = me"))
    assert "column 1" in str(caught.value)
    assert "did you mean owner?" in str(caught.value)
