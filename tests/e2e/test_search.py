"""CatalogueService over a real server, on both deployments: what is found, by whom, and how soon."""

import math

import pytest
from sqlalchemy import create_engine, text

from registry_grpc.v1 import (
    access_pb2,
    artifacts_pb2,
    catalogue_pb2,
    deployments_pb2,
    metadata_pb2,
    models_pb2,
    versions_pb2,
)
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id, pages
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused
from tests.kit.searching import Searcher, metric, short
from tests.kit.waiting import until

UP, DOWN = metadata_pb2.Metric.DIRECTION_MAXIMISE, metadata_pb2.Metric.DIRECTION_MINIMISE
FULL = catalogue_pb2.VERSION_VIEW_FULL


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.fixture
def search(catalogue):
    return Searcher(catalogue.api, catalogue.parent)


@pytest.fixture(scope="module")
def office(server):
    made = Office(server)
    yield made
    made.close()


def numbers(found):
    return [int(name.rpartition("/")[2]) for name in found]


def test_versions_are_found_by_what_was_said_of_them(catalogue, search):
    fraud, churn = catalogue.model("fraud"), catalogue.model("churn")
    catalogue.ready(
        fraud,
        metrics=[metric("auc", 0.91, dataset="q3", dataset_version="2026-09"), metric("auc", 0.5, slice="de")],
        tags={"team": "risk", "cost": ""},
        framework=metadata_pb2.Framework(name="xgboost", version="2.1"),
        dependencies=[metadata_pb2.Dependency(ecosystem="pypi", name="numpy", version="1.26.4")],
        parameters={"lr": metadata_pb2.ParameterValue(double_value=0.1)},
        owner="ann",
    )
    catalogue.ready(
        churn,
        metrics=[metric("auc", 0.95)],
        tags={"team": "growth"},
        dependencies=[metadata_pb2.Dependency(ecosystem="pypi", name="numpy", version="2.0.1")],
    )
    catalogue.draft(churn, version_label="candidate")
    for asked, found in {
        "": ["churn/1", "churn/2", "fraud/1"],
        'tags.team = "risk"': ["fraud/1"],
        "tags:cost": ["fraud/1"],
        "metrics.auc > 0.92": ["churn/1"],
        'metric("auc", "q3@2026-09") >= 0.9': ["fraud/1"],
        'metric("auc", "", "de") < 0.6': ["fraud/1"],
        'dependencies.numpy = "1.*"': ["fraud/1"],
        "parameters.lr <= 0.1 AND owner = ann": ["fraud/1"],
        "state = DRAFT AND label:candid": ["churn/2"],
        "framework = xgboost AND (owner = bob OR state = READY)": ["fraud/1"],
        "NOT metrics:auc": ["churn/2"],
        "model = chu* AND -state = draft": ["churn/1"],
        "tags.team != risk": ["churn/1"],
        "total_size_bytes > 0": ["churn/1", "fraud/1"],
    }.items():
        assert search.found(asked) == found, asked
    assert search.found(order_by="metrics.auc desc") == ["churn/1", "fraud/1", "churn/2"]
    assert search.found(order_by="name desc") == ["fraud/1", "churn/2", "churn/1"]


def test_basic_leaves_out_what_is_long_and_full_does_not(catalogue, search):
    long = {"model_card": "Long reading", "annotations": {"a": "b"}}
    needs = [metadata_pb2.Dependency(ecosystem="pypi", name="numpy")]
    made = catalogue.draft(catalogue.model(), description="short", dependencies=needs, **long)
    basic = search.versions().matches[0].version
    assert (basic.name, basic.description) == (made.name, "short")
    assert not basic.model_card
    assert not basic.annotations
    assert not basic.dependencies
    assert search.versions(view=FULL).matches[0].version == made
    assert basic.etag == made.etag


LONG = ("model_card", "card", "annotations", "dependencies")
"""What the basic view leaves out."""


def test_what_was_told_before_is_told_as_it_is_now(catalogue, search):
    """Servers remember versions they told: nothing that changes one may be missed."""
    api, model = catalogue.api, catalogue.model("churn")
    one, two = catalogue.ready(model), catalogue.ready(model)
    draft = catalogue.draft(model)

    def check():
        expected = [catalogue.version(each.name) for each in (one, two, draft)]
        for each in expected:
            for name in LONG:
                each.ClearField(name)
        (of_model,) = search.models(version_filter="number > 0", show_deleted=True).matches
        assert of_model.newest_match == max((v for v in expected if not v.HasField("delete_time")), key=_number)
        for _ in range(2):
            told = search.versions(show_deleted=True).matches
            assert [each.version for each in told] == expected

    named = versions_pb2.DeprecateVersionRequest(name=one.name, reason="old")
    for change in (
        lambda: None,
        lambda: catalogue.update(one.name, "description", description="new"),
        lambda: catalogue.update(two.name, "tags", tags={"team": "risk"}),
        lambda: catalogue.alias(model, best=1, next=2),
        lambda: catalogue.alias(model, best=2),
        lambda: catalogue.unalias(model, "next"),
        lambda: catalogue.bring(one.name, "production"),
        lambda: catalogue.bring(two.name, "production"),
        lambda: catalogue.rollback(model),
        lambda: catalogue.vacate(model),
        lambda: api.models.DeprecateVersion(named),
        lambda: api.models.ReinstateVersion(versions_pb2.ReinstateVersionRequest(name=one.name)),
        lambda: catalogue.upload(draft.name, "weights.bin", b"bytes"),
        lambda: catalogue.finalize(draft.name),
        lambda: catalogue.delete(draft.name),
        lambda: catalogue.undelete(draft.name),
    ):
        change()
        check()


def test_a_model_that_was_told_before_is_told_as_it_is_now(catalogue, search):
    model = catalogue.model("churn", description="old")
    for change in (
        lambda: None,
        lambda: catalogue.update_model(model, "description", description="new"),
        lambda: catalogue.update_model(model, "tags", tags={"team": "risk"}),
        lambda: catalogue.update_model(model, "annotations", annotations={"ticket": "12"}),
        lambda: catalogue.update_model(model, "display_name", display_name="Churn"),
        lambda: catalogue.update_model(model, "owner", owner="group:risk"),
        lambda: catalogue.ready(model),
        lambda: catalogue.alias(model, best=1),
        lambda: catalogue.bring(f"{model}/versions/1", "production"),
        lambda: catalogue.vacate(model),
        lambda: catalogue.unalias(model, "best"),
        lambda: catalogue.delete_model(model, force=True),
        lambda: catalogue.undelete_model(model),
    ):
        change()
        now = catalogue.api.models.GetModel(models_pb2.GetModelRequest(name=model))
        for query in ("", "", "churn"):
            (match,) = search.models(query=query, show_deleted=True).matches
            assert match.model == now


def _number(version):
    return version.number


def test_words_are_found_best_first_with_the_text_around_them(catalogue, search):
    model = catalogue.model("ranker", description="Orders the offers of a shop")
    catalogue.draft(model, description="Much about cards and nothing else")
    catalogue.draft(model, tags={"topic": "Cards"}, description="x")
    catalogue.draft(model, model_card=f"{'word ' * 50}<b>Überweisung</b> by card {'word ' * 50}")
    assert numbers(search.found(query="CARD")) == [2, 1, 3]
    assert search.found(query="card nothing") == ["ranker/1"]
    assert search.found(query="card absent") == []
    hit = search.versions(query="überw").matches[0]
    assert "Überweisung" in hit.snippet
    assert hit.snippet.startswith("…")
    assert len(hit.snippet) < 200
    assert not hit.version.model_card
    found = search.models(query="shop offer").matches
    assert [match.model.name for match in found] == [model]
    assert found[0].snippet == "Orders the offers of a shop"


def test_models_are_found_by_what_their_versions_are(catalogue, search):
    good, bad, none = catalogue.model("good", tags={"team": "risk"}), catalogue.model("bad"), catalogue.model("none")
    for value in (0.8, 0.95, 0.7):
        catalogue.ready(good, metrics=[metric("auc", value)])
    catalogue.ready(bad, metrics=[metric("auc", 0.5)])
    assert search.found_models() == ["bad", "good", "none"]
    assert search.found_models("tags.team = risk") == ["good"]
    assert search.found_models(version_filter="metrics.auc > 0.75") == ["good"]
    newest = {match.model.name: match.newest_match.name for match in search.models().matches}
    assert newest == {good: f"{good}/versions/3", bad: f"{bad}/versions/1", none: ""}
    (match,) = search.models(version_filter="metrics.auc > 0.75").matches
    assert match.newest_match.name == f"{good}/versions/2"
    catalogue.delete(f"{good}/versions/2")
    (match,) = search.models(version_filter="metrics.auc > 0.75").matches
    assert match.newest_match.name == f"{good}/versions/1"
    catalogue.delete_model(bad, force=True)
    assert search.found_models() == ["good", "none"]
    assert search.found_models(show_deleted=True) == ["bad", "good", "none"]


def test_facets_count_all_that_was_found_on_the_first_page_only(catalogue, search):
    model = catalogue.model()
    for at in range(5):
        catalogue.draft(model, tags={"team": "risk" if at < 3 else "growth"}, algorithm="gb" if at else "")
    first = search.versions(facets=["tags.team", "algorithm", "state"], page_size=2)
    counted = {facet.field: {each.value: each.count for each in facet.values} for facet in first.facets}
    assert counted == {"tags.team": {"risk": 3, "growth": 2}, "algorithm": {"gb": 4, "": 1}, "state": {"draft": 5}}
    assert [facet.field for facet in first.facets] == ["tags.team", "algorithm", "state"]
    second = search.versions(facets=["tags.team", "algorithm", "state"], page_size=2, page_token=first.next_page_token)
    assert (len(second.matches), list(second.facets)) == (2, [])
    of_models = search.models(facets=["owner"])
    assert [(each.value, each.count) for each in of_models.facets[0].values] == [("", 1)]
    many = search.versions("number > 0", facets=["model"])
    assert not many.facets[0].truncated


@pytest.mark.parametrize("order", ["", "number desc", "metrics.m", "create_time desc, metrics.m desc", "update_time"])
def test_pages_neither_lose_nor_repeat_while_others_write(catalogue, search, order):
    model = catalogue.model()
    for at in range(9):
        catalogue.draft(model, metrics=[metric("m", at / 7)] if at % 3 else [])
    before = search.found(order_by=order)
    request = catalogue_pb2.SearchVersionsRequest(parent=catalogue.parent, order_by=order, page_size=2)
    seen = []
    for at, match in enumerate(pages(search.stub.SearchVersions, request)):
        seen.append(short(match.version.name))
        if at == 3:
            catalogue.draft(model, metrics=[metric("m", 0.5)])
            catalogue.delete(f"{catalogue.parent}/models/{before[0].replace('/', '/versions/')}")
    assert len(seen) == len(set(seen))
    assert [name for name in seen if name in before] == before


def test_what_is_written_is_found_at_once_and_what_is_gone_is_not(catalogue, search):
    model = catalogue.model()
    made = catalogue.draft(model, tags={"a": "1"}, description="alpha")
    assert search.found("tags.a = 1") == search.found(query="alpha") == [short(made.name)]
    catalogue.update(made.name, "tags", "description", tags={"a": "2"}, description="beta")
    assert search.found("tags.a = 1") == search.found(query="alpha") == []
    assert search.found("tags.a = 2") == search.found(query="beta") == [short(made.name)]
    catalogue.upload(made.name, "model.onnx", b"\x08\x07\x12\x00bytes")
    catalogue.finalize(made.name)
    assert search.found("state = ready AND finalize_time:*") == [short(made.name)]
    catalogue.promote(made.name, "staging")
    assert search.found('stage = "staging"') == [short(made.name)]
    catalogue.alias(model, champion=1)
    assert search.found("alias:champion") == [short(made.name)]
    report = deployments_pb2.ReportDeploymentRequest(
        parent=catalogue.parent,
        deployment=deployments_pb2.Deployment(
            version=made.name,
            environment="prod",
            workload="api",
            state=deployments_pb2.DEPLOYMENT_STATE_SERVING,
        ),
    )
    running = catalogue.api.deployments.ReportDeployment(report)
    assert search.found("deployed AND deployments.environment = prod") == [short(made.name)]
    catalogue.api.deployments.RetireDeployment(deployments_pb2.RetireDeploymentRequest(name=running.name))
    assert search.found("deployed") == []
    copy = catalogue.api.models.CopyVersion(
        versions_pb2.CopyVersionRequest(parent=catalogue.model("copy"), source=made.name)
    )
    assert search.found("copied_from:*") == search.found("model = copy", query="beta") == ["copy/1"]
    catalogue.delete(copy.name)
    assert search.found("model = copy") == []
    assert search.found("model = copy", show_deleted=True) == ["copy/1"]
    catalogue.undelete(copy.name)
    assert search.found("model = copy AND stage:*", query="beta") == ["copy/1"]
    catalogue.delete(copy.name)
    catalogue.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=copy.name))
    assert search.found(query="beta", show_deleted=True) == [short(made.name)]
    catalogue.api.models.YankVersion(versions_pb2.YankVersionRequest(name=made.name, reason="wrong"))
    assert search.found("state = yanked") == [short(made.name)]
    assert search.found("state != yanked") == []


def test_a_caller_sees_what_its_bindings_show_and_counts_no_more(catalogue, search, server, office):
    mine, other = catalogue.model("mine", tags={"k": "v"}), catalogue.model("other", tags={"k": "v"})
    for model in (mine, other):
        catalogue.ready(model, metrics=[metric("auc", 0.5 if model == mine else 0.9, direction=UP)], tags={"k": "v"})
    elsewhere = Catalogue(catalogue.api)
    elsewhere.ready(elsewhere.model("third"), tags={"k": "v"})
    viewer = office.bound("viewer", mine).at(server)
    for parent in (catalogue.parent, "projects/-"):
        seen = Searcher(viewer, parent)
        assert seen.found("tags.k = v") == ["mine/1"]
        assert seen.found(query="v") == ["mine/1"]
        assert seen.found_models("tags.k = v") == ["mine"]
        facet = seen.versions(facets=["tags.k", "model"]).facets
        assert [[(each.value, each.count) for each in one.values] for one in facet] == [[("v", 1)], [("mine", 1)]]
        chosen = seen.best("auc")
        assert (chosen.best.version.name, chosen.candidate_count) == (f"{mine}/versions/1", 1)
    refusal = refused(Searcher(viewer, elsewhere.parent).versions)
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "PROJECT_NOT_FOUND")
    assert refused(Searcher(viewer, "projects/nowhere").versions).reason == "PROJECT_NOT_FOUND"
    stranger = office.somebody().at(server)
    assert refused(Searcher(stranger, "projects/-").versions).code == "PERMISSION_DENIED"
    everything = Searcher(catalogue.api, "projects/-").found("tags.k = v AND (model = mine OR model = third)")
    assert {"mine/1", "third/1"} <= set(everything)
    viewer.close()
    stranger.close()


def test_who_may_list_models_only_learns_nothing_of_versions(catalogue, server, office):
    model = catalogue.model("secretive")
    catalogue.ready(model, metrics=[metric("auc", 0.9)])
    role = access_pb2.Role(permissions=["models.list"])
    made = office.api.access.CreateRole(access_pb2.CreateRoleRequest(role_id=new_id("lister"), role=role))
    lister = office.bound(made.name.rpartition("/")[2], catalogue.parent).at(server)
    seen = Searcher(lister, catalogue.parent)
    assert seen.found_models() == ["secretive"]
    assert not seen.models().matches[0].HasField("newest_match")
    assert seen.found_models(version_filter="metrics.auc > 0.5") == []
    assert refused(seen.versions).reason == "PERMISSION_MISSING"
    lister.close()


def test_the_lists_take_the_same_filters_and_keep_their_order(catalogue):
    model = catalogue.model("a1", tags={"team": "risk"})
    catalogue.model("a2")
    for at in range(4):
        catalogue.draft(model, metrics=[metric("auc", at / 10)])
    assert [each.number for each in catalogue.versions(model, filter="metrics.auc >= 0.1")] == [4, 3, 2]
    request = versions_pb2.ListVersionsRequest(
        parent=model, filter="metrics.auc >= 0.1", page_size=1, order_by="number"
    )
    assert [each.number for each in pages(catalogue.api.models.ListVersions, request)] == [2, 3, 4]
    found = catalogue.api.models.ListModels(
        models_pb2.ListModelsRequest(parent=catalogue.parent, filter="tags.team = risk")
    )
    assert [each.name for each in found.models] == [model]
    refusal = refused(catalogue.versions, model, filter="nothing = 1")
    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FILTER", ("filter",))
    assert refusal.facts["position"] == "1"


def test_the_best_is_selected_by_metric_direction_and_tie_breaks(catalogue, search):
    model = catalogue.model("m")
    loss = {"direction": DOWN}
    for values in ((0.9, 0.4), (0.95, 0.5), (0.95, 0.3), (0.95, 0.3), (0.1, None)):
        auc, other = values
        metrics = [metric("auc", auc, direction=UP, dataset="q3", dataset_version="2026-09")]
        metrics += [metric("loss", other, **loss)] if other is not None else []
        catalogue.ready(model, metrics=metrics)
    catalogue.draft(model, metrics=[metric("auc", 0.99, direction=UP)])
    chosen = search.best("auc", tie_breaks=[catalogue_pb2.Objective(metric="loss")])
    assert short(chosen.best.version.name) == "m/4"
    assert [short(each.version.name) for each in chosen.runners_up] == ["m/3", "m/2", "m/1", "m/5"]
    assert list(chosen.best.values) == [0.95, 0.3]
    assert math.isnan(chosen.runners_up[-1].values[1])
    assert (chosen.candidate_count, chosen.direction) == (5, UP)
    assert "the newer one won" in chosen.reason
    assert "highest auc of 5: 0.95" in chosen.reason
    assert short(search.best("auc", "state = draft").best.version.name) == "m/6"
    assert short(search.best("auc", direction=DOWN).best.version.name) == "m/5"
    assert len(search.best("auc", count=1).runners_up) == 1
    assert search.best("auc", dataset="q3", dataset_version="2026-09").candidate_count == 5
    for asked in ({"dataset": "q4"}, {"slice": "de"}):
        refusal = refused(search.best, "auc", **asked)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "NO_CANDIDATE")
    catalogue.ready(model, metrics=[metric("odd", 1, direction=UP)])
    catalogue.ready(model, metrics=[metric("odd", 2, direction=DOWN), metric("mute", 1)])
    for name in ("odd", "mute"):
        refusal = refused(search.best, name)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "NO_DIRECTION")
    assert short(search.best("odd", direction=DOWN).best.version.name) == "m/7"


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_what_an_older_schema_left_is_indexed_by_the_leader(kind, service_environment):
    """Right after the migration the tables of the index are empty; so they are made here."""
    with deployed(kind, service_environment) as started:
        api = started.api()
        catalogue = Catalogue(api)
        model = catalogue.model("old", tags={"team": "risk"})
        made = catalogue.ready(model, metrics=[metric("auc", 0.9)], description="ancient")
        changed = catalogue.ready(model, tags={"kept": "yes"}, description="before")
        api.close()
        started.stop()
        forget_index(started.settings.get("database_url", f"sqlite:///{started.data_dir / 'registry.db'}"))
        started.start()
        api = started.api()
        catalogue, search = catalogue.on(api), Searcher(api, catalogue.parent)
        # A change before the job came by indexes the whole version, not only what was changed.
        catalogue.update(changed.name, "description", description="after")
        assert search.found("tags.kept = yes") == ["old/2"]
        until(lambda: search.found("metrics.auc > 0.8", query="ancient") == [short(made.name)], 60)
        until(lambda: search.found_models("tags.team = risk") == ["old"], 60)
        assert search.found(query="after") == ["old/2"]
        api.close()


def forget_index(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("version_term", "version_metric", "model_term", "search_text"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of ours
    engine.dispose()


def test_an_artifact_of_a_format_is_found_by_it(catalogue, search):
    draft = catalogue.draft(catalogue.model("net"))
    catalogue.upload(draft.name, "model.pkl", b"\x80\x04K\x01.")
    done = catalogue.finalize(draft.name)
    names = [each.name for each in done.formats]
    assert names
    assert search.found(f"formats:{names[0]}") == ["net/1"]
    assert search.found("executable") == (["net/1"] if any(each.executable for each in done.formats) else [])
    listed = catalogue.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=draft.name))
    assert len(listed.artifacts) == 1
