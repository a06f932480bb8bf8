"""Cycles, and which edges there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.cycles import find_cycle
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.lineage import MAX_NODE_ID, LineageRelation, Node, NodeType
from registry_grpc.domain.lineage_names import RunName, is_run_id
from registry_grpc.domain.lineage_rules import edges_of_provenance, linked, relation_between, require_in
from registry_grpc.domain.metadata import DatasetVersion, ParentModel, Provenance, Relation, TrainingRun
from registry_grpc.domain.names import VersionName

T, R = NodeType, LineageRelation
edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


def reaches(pairs, start, end):
    seen, waiting = set(), [start]
    while waiting:
        at = waiting.pop()
        for tail, head in pairs:
            if tail == at and head not in seen:
                seen.add(head)
                waiting.append(head)
    return end in seen


@given(edges, edges)
def test_a_cycle_is_found_exactly_when_a_new_edge_is_on_one(known, new):
    cycle = find_cycle(known, new)
    every = known + new
    assert bool(cycle) == any(head == tail or reaches(every, head, tail) for tail, head in new)
    if cycle:
        around = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        assert set(around) <= set(every)
        assert set(around) & set(new)


def test_a_chain_may_be_long():
    chain = [(number, number + 1) for number in range(50_000)]
    assert find_cycle(chain, [(50_000, 50_001)]) == []
    assert len(find_cycle(chain, [(50_000, 0)])) == 50_001


@pytest.mark.parametrize("downstream", NodeType)
@pytest.mark.parametrize("upstream", NodeType)
def test_what_types_suggest_may_be(downstream, upstream):
    edge = linked(Node(downstream, "a"), Node(upstream, "b"), None, "links[0]")
    assert edge.relation is relation_between(downstream, upstream)
    assert linked(edge.downstream, edge.upstream, edge.relation, "links[0]") == edge


@pytest.mark.parametrize(
    ("downstream", "upstream", "relation"),
    [
        (T.MODEL_VERSION, T.DATASET_VERSION, R.TRAINED_ON),
        (T.MODEL_VERSION, T.RUN, R.PRODUCED_BY),
        (T.RUN, T.DATASET_VERSION, R.USED),
        (T.DATASET_VERSION, T.PREPROCESSING_STEP, R.PRODUCED_BY),
        (T.MODEL_VERSION, T.CODE_REVISION, R.BUILT_WITH),
        (T.DEPLOYMENT, T.MODEL_VERSION, R.RUNS),
        (T.EVALUATION_REPORT, T.MODEL_VERSION, R.EVALUATES),
        (T.MODEL_VERSION, T.MODEL_VERSION, R.DERIVED_FROM),
        (T.FEATURE_SET, T.DATASET_VERSION, R.DERIVED_FROM),
    ],
)
def test_relations_between_types(downstream, upstream, relation):
    assert relation_between(downstream, upstream) is relation


def test_a_relation_that_does_not_fit_names_the_one_that_does():
    with pytest.raises(RegistryError, match="leave it out for USED"):
        linked(Node(T.RUN, "r"), Node(T.DATASET_VERSION, "d"), R.TRAINED_ON, "links[0]")


def test_ids_that_are_too_long_stay_apart():
    long = "u" * 600
    provenance = Provenance(
        training_run=TrainingRun(uri=long),
        training_data=(DatasetVersion(long, "1"), DatasetVersion(long, "2")),
        parents=(ParentModel(Relation.CONVERTED, uri=long),),
    )
    found = edges_of_provenance(VersionName("p", "m", 1), provenance)
    assert len({edge.upstream for edge in found}) == 4
    assert all(len(edge.upstream.id) <= MAX_NODE_ID for edge in found)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node(T.MODEL_VERSION, "projects/q/models/m/versions/1"), Reason.INVALID_FIELD),
        (Node(T.MODEL_VERSION, "m/1"), Reason.INVALID_RESOURCE_NAME),
        (Node(T.RUN, "projects/q/runs/r"), Reason.INVALID_FIELD),
        (Node(T.RUN, "projects/p/runs/-"), Reason.INVALID_RESOURCE_NAME),
        (Node(T.EVALUATION_REPORT, "projects/p/evidence"), Reason.INVALID_RESOURCE_NAME),
        (Node(T.DEPLOYMENT, "projects/q/deployments/" + "0" * 20), Reason.INVALID_FIELD),
    ],
)
def test_nodes_that_are_no_resource_of_the_project(node, reason):
    with pytest.raises(RegistryError) as caught:
        require_in("p", node, "node")
    assert caught.value.reason is reason


def test_ids_elsewhere_are_free():
    for node in (
        Node(T.RUN, "exp-7"),
        Node(T.EVALUATION_REPORT, "https://x.example/r"),
        Node(T.DATASET_VERSION, "a/b"),
    ):
        require_in("p", node, "node")


@pytest.mark.parametrize(("text", "good"), [("a", True), ("A.b_c-9", True), ("", False), ("-a", False), ("a.", False)])
def test_ids_of_runs(text, good):
    assert is_run_id(text) is good
    assert is_run_id("a" * 128)
    assert not is_run_id("a" * 129)
    if good:
        assert RunName.parse(f"projects/p/runs/{text}") == RunName("p", text)
