"""The graph of what came from what over both engines: who says what, what is reached, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.lineage import LineageRelation, Links, Node, NodeType, Run
from registry_grpc.domain.metadata import (
    CodeRevision,
    DatasetRole,
    DatasetVersion,
    Metadata,
    ParentModel,
    PreprocessingStep,
    Provenance,
    Relation,
    TrainingRun,
)
from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.search import Visible
from registry_grpc.ports.lineage import Walk
from registry_grpc.storage.sql import SqlStore, schema
from registry_grpc.storage.sql.documents import METADATA
from registry_grpc.usecases.lineage import GetLineage, IndexMissingLineage, forget_lineage
from registry_grpc.usecases.purge import Purger
from tests.contract.store.builders import all_events, at_once, change
from tests.contract.store.test_upgrades import MICROS, REGISTRY_ROWS, as_of
from tests.kit.lineage import DOWN, UP, Graph, data, deployment_node, in_order, link, reached, version_node
from tests.kit.running import call

R, T = LineageRelation, NodeType


@pytest.fixture
def graph(store):
    return Graph(store)


def refused(reason, work):
    with pytest.raises(RegistryError) as caught:
        work()
    assert caught.value.reason is reason
    return caught.value


def told(steps):
    """Type, id, distance, and relation and origin of each edge."""
    return [
        (step.node.type, step.node.id, step.distance, [(edge.relation, edge.origin) for edge in step.edges])
        for step in steps
    ]


def test_provenance_is_in_the_graph_as_soon_as_it_is_said(graph):
    parent = graph.ready()
    child = graph.draft(
        training_run=TrainingRun(id="exp-7", uri="https://x.example/7"),
        code=CodeRevision(repository="https://git.example/r", revision="abc"),
        training_data=(
            DatasetVersion("d", "1", uri="s3://b/d", digest="sha256:aa", role=DatasetRole.TRAIN),
            DatasetVersion("d", "2", role=DatasetRole.TEST),
            DatasetVersion("e", role=DatasetRole.VALIDATION),
        ),
        preprocessing=(PreprocessingStep("clean", "3", code=CodeRevision("https://git.example/p", "def")),),
        parents=(
            ParentModel(Relation.FINE_TUNED, version=str(parent.name)),
            ParentModel(Relation.DISTILLED, uri="https://hub.example/big", digest="sha256:bb"),
        ),
    )
    root, steps, truncated = graph.look(version_node(child), UP)
    assert (root.properties["state"], truncated) == ("draft", False)
    said = "provenance"
    assert told(steps) == [
        (T.CODE_REVISION, "https://git.example/r@abc", 1, [(R.BUILT_WITH, said)]),
        (T.DATASET_VERSION, "d@1", 1, [(R.TRAINED_ON, said)]),
        (T.DATASET_VERSION, "d@2", 1, [(R.TESTED_ON, said)]),
        (T.DATASET_VERSION, "e", 1, [(R.VALIDATED_ON, said)]),
        (T.EXTERNAL_MODEL, "https://hub.example/big", 1, [(R.DISTILLED_FROM, said)]),
        (T.MODEL_VERSION, str(parent.name), 1, [(R.FINE_TUNED_FROM, said)]),
        (T.PREPROCESSING_STEP, "clean@3", 1, [(R.PRODUCED_BY, said)]),
        (T.RUN, "exp-7", 1, [(R.PRODUCED_BY, said)]),
        (T.CODE_REVISION, "https://git.example/p@def", 2, [(R.USED, said)]),
    ]
    [dataset] = [step.node for step in steps if step.node.id == "d@1"]
    assert (dataset.uri, dataset.digest) == ("s3://b/d", "sha256:aa")
    [known] = [step.node for step in steps if step.node.type is T.MODEL_VERSION]
    assert known.digest == parent.manifest_digest
    assert graph.names(data("d@1"), DOWN) == [str(child.name)]
    assert graph.names(version_node(parent), DOWN) == [str(child.name)]


def test_what_is_said_anew_replaces_exactly_what_was_said(graph):
    one = graph.draft(training_data=(DatasetVersion("d", "1"), DatasetVersion("e", "1", uri="s3://b/e")))
    other = graph.draft(training_data=(DatasetVersion("d", "1"),))
    graph.link(link(data("d@1"), data("raw@1")))
    graph.say(one, training_data=(DatasetVersion("f", "1"),))
    assert graph.names(version_node(one), UP) == ["f@1"]
    assert graph.names(data("raw@1"), DOWN) == ["d@1", str(other.name)]
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("e@1"), DOWN))


def test_from_a_dataset_to_the_deployments_over_copies_reports_and_other_projects(graph, store):
    from registry_grpc.server.ids import RandomIds
    from registry_grpc.usecases.copying import CopyVersion

    source = graph.ready()
    graph.link(link(version_node(source), data("poisoned@3")))
    there = Graph(store)
    copied = CopyVersion(store, RandomIds(), 100)(call(), there.model.name, source.name, "").get()
    runs = there.report(copied, cluster="eu")
    ended = there.report(copied, "old")
    there.retire(ended.name)
    steps = graph.reach(data("poisoned@3"), DOWN)
    assert told(steps) == [
        (T.MODEL_VERSION, str(source.name), 1, [(R.TRAINED_ON, "link")]),
        (T.MODEL_VERSION, str(copied.name), 2, [(R.COPIED_FROM, "copy")]),
        (T.DEPLOYMENT, str(runs.name), 3, [(R.RUNS, "deployment")]),
    ]
    assert steps[-1].node.display_name == "api in prod"
    assert steps[-1].node.properties == {
        "environment": "prod",
        "cluster": "eu",
        "workload": "api",
        "state": "serving",
    }
    assert there.names(deployment_node(runs), UP) == [str(copied.name), str(source.name), "poisoned@3"]
    only = {T.DEPLOYMENT}
    assert graph.names(data("poisoned@3"), DOWN, types=only) == [str(runs.name)]
    # Of the other project only what the caller may see.
    mine = Visible(projects=frozenset({graph.project.project}))
    assert graph.names(data("poisoned@3"), DOWN, visible=mine) == [str(source.name)]
    seen = Visible(models=frozenset({(graph.project.project, "m")}))
    assert graph.names(data("poisoned@3"), DOWN, visible=seen) == [str(source.name)]
    blind = Visible(models=frozenset({(graph.project.project, "n")}))
    for node in (data("poisoned@3"), version_node(source)):
        refused(Reason.NODE_NOT_FOUND, lambda node=node: graph.reach(node, DOWN, visible=blind))


def test_what_is_only_reached_through_what_is_hidden_is_left_out(graph):
    hidden = graph.new_model("hidden")
    base, shown = graph.ready(hidden), graph.ready()
    graph.link(
        link(version_node(base), data("secret@1")),
        link(version_node(shown), version_node(base)),
        link(version_node(shown), data("open@1")),
    )
    visible = Visible(models=frozenset({(graph.project.project, "m")}))
    assert graph.names(version_node(shown), UP, visible=visible) == ["open@1"]
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("secret@1"), DOWN, visible=visible))
    whole = Visible(projects=frozenset({graph.project.project}))
    assert len(graph.names(version_node(shown), UP, visible=whole)) == 3


def test_a_run_is_between_what_it_took_and_what_it_made(graph):
    made = graph.ready()
    run = graph.record(
        "train-1",
        display_name="Training",
        system="airflow",
        code=CodeRevision("https://git.example/r", "abc"),
        inputs=(data("d@1", digest="sha256:aa"), data("d@2")),
        outputs=(version_node(made),),
    )
    node = Node(T.RUN, str(run.name))
    assert told(graph.reach(version_node(made), UP)) == [
        (T.RUN, str(run.name), 1, [(R.PRODUCED_BY, str(run.name))]),
        (T.CODE_REVISION, "https://git.example/r@abc", 2, [(R.USED, str(run.name))]),
        (T.DATASET_VERSION, "d@1", 2, [(R.USED, str(run.name))]),
        (T.DATASET_VERSION, "d@2", 2, [(R.USED, str(run.name))]),
    ]
    assert graph.look(node, UP)[0].display_name == "Training"
    again = graph.record("train-1", inputs=(data("d@2"),), etag=run.etag)
    assert (again.uid, again.create_time, again.creator) == (run.uid, run.create_time, run.creator)
    assert again.revision > run.revision
    assert graph.names(node, UP) == ["d@2"]
    assert graph.names(node, DOWN) == []
    refused(Reason.ETAG_MISMATCH, lambda: graph.record("train-1", etag=run.etag))
    refused(Reason.RUN_NOT_FOUND, lambda: graph.record("train-2", etag=run.etag))
    graph.forget(again)
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("d@2"), DOWN))
    refused(Reason.RUN_NOT_FOUND, lambda: graph.forget(again))
    kinds = [(event.action, event.after) for event in all_events(graph.store) if isinstance(event.after, Run)]
    assert kinds == [(Action.CREATED, run), (Action.UPDATED, again), (Action.DELETED, again)]


def test_runs_are_listed_newest_first_in_pages(graph):
    runs = [graph.record(f"r{number}") for number in range(5)]
    names, after = [], None
    while page := graph.store.read(
        lambda reader: reader.runs.list(graph.project.project, after=after, limit=2)  # noqa: B023 -- called at once
    ):
        names += [run.name.run for run in page]
        after = (page[-1].create_time, page[-1].name.run)
    assert names == [run.name.run for run in reversed(runs)]


def test_a_version_that_names_its_run_before_it_is_recorded_meets_it(graph):
    name = f"{graph.project}/runs/later"
    made = graph.draft(training_run=TrainingRun(id=name))
    graph.record("later", inputs=(data("d@1"),))
    assert graph.names(version_node(made), UP) == [name, "d@1"]


def test_links_are_kept_once_and_taken_back_exactly(graph):
    edges = [link(data("b"), data("a")), link(data("c"), data("b"))]
    first = graph.link(*edges)
    again = graph.link(edges[1], link(data("d"), data("c")), edges[1])
    assert again.links[0] == first.links[1] == again.links[2]
    assert again.links[0].creator == "user:ada"
    assert graph.link(*edges).revision == first.revision
    assert graph.names(data("a"), DOWN) == ["b", "c", "d"]
    refused(Reason.LINK_NOT_FOUND, lambda: graph.unlink(edges[0], link(data("a"), data("b"))))
    assert graph.names(data("a"), DOWN) == ["b", "c", "d"]
    graph.unlink(edges[0])
    assert graph.names(data("c"), UP) == ["b"]
    refused(Reason.LINK_NOT_FOUND, lambda: graph.unlink(edges[0]))
    said = [event for event in all_events(graph.store) if isinstance(event.after, Links)]
    assert [(event.action, len(event.after.links)) for event in said] == [
        (Action.CREATED, 2),
        (Action.CREATED, 1),
        (Action.DELETED, 1),
    ]


def test_whatever_closes_a_cycle_is_refused_by_whoever_says_it(graph):
    one, two = graph.draft(), graph.ready()
    graph.link(link(data("b"), data("a")), link(data("c"), data("b")))
    error = refused(Reason.LINEAGE_CYCLE, lambda: graph.link(link(data("a"), data("c"))))
    assert "dataset_version a from dataset_version c from dataset_version b from dataset_version a" in error.message
    refused(Reason.LINEAGE_CYCLE, lambda: graph.link(link(data("y"), data("x")), link(data("x"), data("y"))))
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("x"), DOWN))
    refused(Reason.LINEAGE_CYCLE, lambda: graph.record(inputs=(data("c"),), outputs=(data("a"),)))
    refused(Reason.LINEAGE_CYCLE, lambda: graph.record(inputs=(data("q"),), outputs=(data("q"),)))
    graph.link(link(version_node(two), version_node(one)))
    parents = (ParentModel(Relation.FINE_TUNED, version=str(two.name)),)
    refused(Reason.LINEAGE_CYCLE, lambda: graph.say(one, parents=parents))
    code = CodeRevision("repo", "1")
    graph.link(link(Node(T.CODE_REVISION, "repo@1"), Node(T.PREPROCESSING_STEP, "s@1")))
    steps = (PreprocessingStep("s", "1", code=code),)
    refused(Reason.LINEAGE_CYCLE, lambda: graph.draft(preprocessing=steps))
    refused(Reason.INVALID_FIELD, lambda: link(data("a"), data("a")))


def test_a_run_that_is_recorded_anew_is_not_in_its_own_way(graph):
    graph.record("r", inputs=(data("a"),), outputs=(data("b"),))
    graph.record("r", inputs=(data("b"),), outputs=(data("a"),))
    assert graph.names(data("a"), UP) == [f"{graph.project}/runs/r", "b"]


def test_what_learns_from_what_it_served_ends_all_the_same(graph):
    first, second = graph.ready(), graph.ready()
    served = graph.report(first)
    graph.link(link(data("traffic"), deployment_node(served)), link(version_node(second), data("traffic")))
    graph.report(second)  # at the same place: it runs what was learned from it
    names = graph.names(deployment_node(served), UP)
    assert names == [str(second.name), "traffic"]
    assert graph.names(data("traffic"), DOWN) == [str(second.name), str(served.name)]


def test_two_writers_never_close_a_cycle_between_them(graph):
    rounds = 8
    for number in range(rounds):
        one, two = data(f"x{number}"), data(f"y{number}")
        edges = [link(one, two), link(two, one)]
        results = at_once(2, lambda at, edges=edges: graph.link(edges[at]))
        reasons = [each.reason for each in results if isinstance(each, RegistryError)]
        assert reasons == [Reason.LINEAGE_CYCLE]


def test_nodes_that_name_a_resource_must_be_there_and_in_the_project(graph, store):
    there = Graph(store).ready()
    missing = Node(T.MODEL_VERSION, f"{graph.model.name}/versions/99")
    error = refused(Reason.NODE_NOT_FOUND, lambda: graph.link(link(data("b"), data("a")), link(missing, data("a"))))
    assert "links[1].downstream" in error.message
    refused(Reason.NODE_NOT_FOUND, lambda: graph.record(inputs=(Node(T.RUN, f"{graph.project}/runs/none"),)))
    refused(Reason.INVALID_FIELD, lambda: graph.link(link(version_node(there), data("a"))))
    refused(Reason.INVALID_RESOURCE_NAME, lambda: graph.link(link(Node(T.MODEL_VERSION, "fraud/7"), data("a"))))
    gone = graph.ready()
    graph.delete(gone)
    refused(Reason.NODE_NOT_FOUND, lambda: graph.link(link(version_node(gone), data("a"))))


def test_a_purged_version_takes_what_it_said_along(graph, store):
    parent = graph.ready()
    child = graph.draft(
        training_data=(DatasetVersion("d", "1"),), parents=(ParentModel(Relation.QUANTISED, version=str(parent.name)),)
    )
    graph.link(link(data("e"), version_node(child)))

    def purge(unit):
        Purger(store).version(unit, unit.models.lock(graph.model.name), unit.versions.get(child.name))

    store.write(purge)
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("d@1"), DOWN))
    assert graph.names(version_node(parent), DOWN) == []
    # What others say of it stays: it was so.
    assert graph.names(data("e"), UP) == [str(child.name)]


def test_a_purged_project_leaves_nothing(graph, store):
    graph.record(inputs=(data("a", uri="s3://b/a"),))
    graph.link(link(data("b"), data("a")))
    project = store.read(lambda reader: reader.projects.get(graph.project.project))
    change(store, lambda unit, _: forget_lineage(unit, project))
    assert store.read(lambda reader: list(reader.runs.list(graph.project.project, after=None, limit=9))) == []
    for name in ("a", "b"):
        refused(Reason.NODE_NOT_FOUND, lambda name=name: graph.reach(data(name), DOWN))


def test_depth_ends_the_way_and_says_so(graph):
    chain = [data(f"n{number:02}") for number in range(15)]
    graph.link(*(link(later, earlier) for earlier, later in pairwise(chain)))
    _, steps, truncated = graph.look(chain[0], DOWN, depth=3)
    assert ([step.distance for step in steps], truncated) == ([1, 2, 3], True)
    _, steps, truncated = graph.look(chain[0], DOWN, depth=14)
    assert (len(steps), truncated) == (14, False)
    _, steps, truncated = graph.look(chain[0], DOWN, depth=3, types={T.RUN})
    assert (steps, truncated) == ([], True)


def test_versions_from_before_the_graph_are_brought_in(graph, store):
    from sqlalchemy import text

    made = [graph.draft(training_data=(DatasetVersion("d", "1"),)) for _ in range(3)]
    statements = [
        "DELETE FROM lineage_edge",
        "INSERT INTO lineage_missing SELECT uid FROM version",
        "INSERT INTO lineage_missing VALUES ('gone')",
    ]
    store.write(lambda unit: [unit.session.connection.execute(text(each)) for each in statements])
    refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(data("d@1"), DOWN))
    assert IndexMissingLineage(store)() >= 3
    assert graph.names(data("d@1"), DOWN) == sorted(str(version.name) for version in made)
    assert IndexMissingLineage(store)() == 0


NODES = [
    Node(kind, f"{kind.value[0]}{number}") for number in range(4) for kind in (T.DATASET_VERSION, T.FEATURE_SET, T.RUN)
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request, tmp_path_factory):
    """One store for many graphs, each in a project of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'registry.db'}"
        store = SqlStore(url, auto_upgrade=True, pool_size=4)
        yield store
        store.close()
        return
    from tests.kit import engines

    environment = request.getfixturevalue("service_environment")
    with engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]) as url:
        store = SqlStore(url, auto_upgrade=True, pool_size=4)
        yield store
        store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), min_size=1, max_size=30),
    start=st.sampled_from(NODES),
    direction=st.sampled_from([UP, DOWN]),
    depth=st.integers(1, 6),
    page_size=st.integers(1, 5),
    types=st.frozensets(st.sampled_from([T.DATASET_VERSION, T.RUN]), max_size=2),
)
def test_sql_reaches_what_python_reaches(shared, pairs, start, direction, depth, page_size, types):
    graph, edges = Graph(shared), []
    for downstream, upstream in pairs:
        closes = downstream == upstream or upstream in reached(edges, downstream, DOWN, len(NODES))
        if closes:
            reason = Reason.INVALID_FIELD if downstream == upstream else Reason.LINEAGE_CYCLE
            refused(reason, lambda: graph.link(link(downstream, upstream)))  # noqa: B023 -- called at once
            continue
        edges.append(link(downstream, upstream))
        graph.link(edges[-1])
    known = {node for edge in edges for node in (edge.downstream, edge.upstream)}
    if start not in known:
        refused(Reason.NODE_NOT_FOUND, lambda: graph.reach(start, direction))
        return
    distances = reached(edges, start, direction, depth)
    _, steps, truncated = graph.look(start, direction, depth=depth, types=types, page_size=page_size)
    wanted = {node: far for node, far in distances.items() if not types or node.type in types}
    assert [(step.node, step.distance) for step in steps] == in_order(wanted)
    assert truncated == (len(reached(edges, start, direction, depth + 1)) > len(distances))
    near = {start: 0, **distances}
    for step in steps:
        there = {(edge.downstream, edge.upstream) for edge in step.edges}
        assert there == {
            (edge.downstream, edge.upstream)
            for edge in edges
            for here, far in [(edge.downstream, edge.upstream)[:: 1 if direction is UP else -1]]
            if far == step.node and near.get(here, depth + 9) < step.distance
        }


def test_an_upgrade_brings_in_what_versions_say_already(url):
    metadata = Metadata(provenance=Provenance(training_data=(DatasetVersion("d", "1"),)))
    said = METADATA.encode(metadata).replace(":", "\\:")  # else it would be parameters of the statement
    empty = "'', '', '[1,{}]', '[1,{}]'"
    with as_of(url, "0011") as execute:
        execute(
            *REGISTRY_ROWS,
            f"""INSERT INTO model (uid, project, id, display_name, description, tags, annotations, owner, creator,
                last_version_number, create_time, update_time, buried, revision)
                VALUES ('m', 'default', 'm', {empty}, '', '', 1, {MICROS}, {MICROS}, false, 1)""",  # noqa: S608 -- ours
            f"""INSERT INTO version (uid, model_uid, project, model, number, state, stage, stage_exclusive,
                version_label, owner, description, model_card, tags, annotations, metadata, formats, file_count,
                total_size_bytes, manifest_digest, state_reason, creator, copied_from, create_time, update_time,
                revision)
                VALUES ('v', 'm', 'default', 'm', 1, 'ready', '', false, '', '', {empty}, '{said}', '[1,[]]', 0, 0, '',
                '', '', '', {MICROS}, {MICROS}, 1)""",  # noqa: S608 -- ours
        )
    schema.upgrade(url)
    store = SqlStore(url)
    assert IndexMissingLineage(store)() == 1
    way = Walk(DOWN, 9)
    _, found = GetLineage(store)(
        ProjectName("default"), data("d@1"), way, Visible(everywhere=True), after=None, limit=9
    )
    assert [step.node.id for step in found.steps] == ["projects/default/models/m/versions/1"]
    assert IndexMissingLineage(store)() == 0
    store.close()
