"""`mreg search` and `mreg best`: tables for people, JSON for programs, names for shells."""

import json
import sys
import uuid

import pytest

from registry_grpc.cli import search_views
from registry_grpc.client import Registry


@pytest.fixture(scope="module")
def team(server):
    """A tag of two models with versions."""
    team = f"t{uuid.uuid4().hex[:8]}"
    with Registry(server.endpoint, token=server.token) as registry:
        for name, values in {"fraud": (0.9, 0.95), "churn": (0.7,)}.items():
            model = f"{name}-{team}"
            registry.create_model(model, description=f"Words about {name}", tags={"team": team})
            for value in values:
                registry.create_version(
                    model,
                    tags={"team": team},
                    owner="ann",
                    description="Long words " * 30,
                    metrics=[
                        {"name": name, "value": value, "direction": "maximise"} for name in ("auc", "f", "g", "h")
                    ],
                )
    return team


def test_versions_are_listed_as_references_that_can_be_typed(connected, team):
    done = connected("search", "--filter", f"tags.team = {team}", "--order-by", "metrics.auc desc")
    assert done.code == 0, done.err
    head, *rows = done.out.splitlines()
    assert head.split() == ["VERSION", "STATE", "OWNER", "CREATED", "METRICS"]
    assert [row.split()[0] for row in rows] == [f"fraud-{team}/2", f"fraud-{team}/1", f"churn-{team}/1"]
    assert "auc=0.95, f=0.95, g=0.95, …" in rows[0]
    named = connected("search", "-A", "--filter", f"tags.team = {team}", "-o", "name", "-n", 1)
    assert named.out == f"projects/default/models/churn-{team}/versions/1\n"
    assert f"default:churn-{team}/1" in connected("search", "-A", "--filter", f"tags.team = {team}").out


def test_json_has_the_facets_beside_the_matches(connected, team):
    plain = json.loads(connected("search", "words", "--filter", f"tags.team = {team}", "-o", "json").out)
    assert len(plain) == 3
    assert plain[0]["snippet"].startswith("Long words")
    asked = ("search", "--filter", f"tags.team = {team}", "--facet", "model", "--facet", "owner")
    counted = json.loads(connected(*asked, "-o", "json").out)
    assert len(counted["matches"]) == 3
    assert counted["facets"][0]["values"][0] == {"value": f"fraud-{team}", "count": 2}
    assert "OWNER  COUNT\nann    3" in connected(*asked).out


def test_models_are_found_with_their_newest_version(connected, team):
    done = connected("search", "--models", "--filter", f"tags.team = {team}", "--version-filter", "metrics.auc > 0.8")
    assert done.out.splitlines()[1].split()[:2] == [f"fraud-{team}", "2"]
    assert connected("search", "--models", team, "-o", "name").out.count("projects/default/models/") == 2
    refused = connected("search", "--version-filter", "state = ready")
    assert (refused.code, "--models" in refused.err) == (2, True)


def test_a_table_ends_where_the_terminal_does(monkeypatch):
    rows = [["fraud/1", "", "x" * 500], ["fraud/2", "", "y"]]
    assert "x" * 500 in search_views.fitting(["version", "stage", "found"], rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    shown = search_views.fitting(["version", "stage", "found"], rows).splitlines()
    assert max(map(len, shown)) == 60
    assert shown[1].endswith("…")
    assert "STAGE" not in shown[0]


def test_the_best_is_told_with_the_reason(connected, team):
    done = connected("best", "auc", "--filter", f"tags.team = {team}", "-n", 2)
    assert done.code == 0, done.err
    assert "highest auc of 3: 0.95" in done.err
    assert [row.split()[:2] for row in done.out.splitlines()[1:]] == [
        [f"fraud-{team}/2", "0.95"],
        [f"fraud-{team}/1", "0.9"],
    ]
    named = connected("best", "auc", "-f", f"tags.team = {team}", "--direction", "minimise", "-o", "name")
    assert named.out == f"projects/default/models/churn-{team}/versions/1\n"
    answer = json.loads(connected("best", "auc", "-f", f"tags.team = {team}", "--tie-break", "f", "-o", "json").out)
    assert (answer["candidate_count"], answer["best"]["values"]) == (3, [0.95, 0.95])
    assert connected("best", "nothing", "-f", f"tags.team = {team}").code == 3
    assert connected("best", "auc", "-f", "team = x").code == 2
