"""`registry.lineage` and `registry.runs` against a real server; what is exported is read by those it is for."""

import json
import re
from datetime import UTC, datetime

import attr
import prov.model
import pydot
import pytest
from openlineage.client.generated import base, dataset_version_dataset, datasource_dataset, source_code_location_job

from registry_grpc.client import FailedPrecondition, InvalidArgument, NotFound, Registry
from registry_grpc.client.lineage_exports import to_dot, to_mermaid, to_openlineage, to_prov
from registry_grpc.client.lineage_graph import Edge, LineageGraph, Node
from tests.kit.catalogue import Catalogue
from tests.kit.engines import ROOT

NOW = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
PYDOT = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # it calls pyparsing by its old names
FACETS = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "dataSource": datasource_dataset.DatasourceDatasetFacet,
    "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet,
}


@pytest.fixture
def project(server):
    catalogue = Catalogue(server.api())
    yield catalogue.parent.removeprefix("projects/")
    catalogue.api.close()


@pytest.fixture
def registry(server, project, tmp_path):
    with Registry(server.endpoint, token=server.token, project=project, cache_dir=tmp_path / "cache") as client:
        yield client


@pytest.fixture
def pipeline(registry, tree):
    """Two stages and what runs; the name of the version."""
    registry.runs.record(
        "clean",
        kind="preprocessing",
        outcome="succeeded",
        start_time="2026-09-01T00:00:00Z",
        end_time="2026-09-01T01:00:00Z",
        code={"repository": "https://git.example/p", "revision": "4f1c"},
        inputs=[Node("DATA_SOURCE", 'raw "clicks"', uri="s3://b/raw", properties={"a b": "ü"})],
        outputs=["dataset:clicks@9"],
    )
    registry.push("ranker", tree)
    registry.runs.record("train", outcome="failed", inputs=["dataset:clicks@9"], outputs=["ranker/1"])
    registry.deployments.report("ranker/1", environment="prod", workload="search")
    registry.lineage.link("features:f]|x", "dataset:clicks@9")
    return f"projects/{registry.project}/models/ranker/versions/1"


@pytest.fixture
def graph(registry, pipeline):
    return registry.lineage.downstream('source:raw "clicks"')


def test_the_example_of_the_documentation_runs(server, project, tree, monkeypatch, capsys, tmp_path):
    [code] = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/lineage.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "w.bin").write_bytes(b"weights")
    for name, value in {"ENDPOINT": server.endpoint, "TOKEN": server.token, "PROJECT": project}.items():
        monkeypatch.setenv(f"MREG_{name}", value)
    exec(compile(code, "docs/lineage.md", "exec"), {})  # noqa: S102 -- our own documentation
    version, deployment = capsys.readouterr().out.split()
    assert version == f"version:projects/{project}/models/ranker/versions/1"
    assert deployment.startswith(f"deployment:projects/{project}/deployments/")


def test_impact_is_one_call(registry, pipeline):
    found = registry.lineage.downstream('source:raw "clicks"', types=["version", "deployment"])
    assert [node.type for node in found.nodes] == ["MODEL_VERSION", "DEPLOYMENT"]
    assert found.nodes[0].id == pipeline
    assert (found.root.uri, found.downstream, found.truncated) == ("s3://b/raw", True, False)
    near = registry.lineage.downstream('source:raw "clicks"', depth=1)
    assert ([node.id for node in near.nodes], near.truncated) == ([f"projects/{registry.project}/runs/clean"], True)


def test_nodes_by_every_name_people_have_for_them(registry, pipeline):
    registry.promote("ranker/1", "staging")
    above = registry.lineage.upstream("ranker@staging")
    assert {str(node).partition(":")[0] for node in above.nodes} == {"run", "dataset", "source", "code"}
    for name in ("ranker/1", pipeline, "version:ranker/1", f"version:{pipeline}"):
        assert registry.lineage.upstream(name).nodes == above.nodes
    for name in ("run:train", f"projects/{registry.project}/runs/train"):
        assert registry.lineage.upstream(name).root.id.endswith("/runs/train")
    registry.push("other", "/etc/hostname", provenance={"training_run": {"id": "exp-7"}})
    assert [node.id for node in registry.lineage.downstream("run:exp-7").nodes] == [
        f"projects/{registry.project}/models/other/versions/1"
    ]
    with pytest.raises(NotFound):
        registry.lineage.upstream("run:nobody")
    with pytest.raises(InvalidArgument, match="names no node"):
        registry.lineage.upstream("dataset:")
    with pytest.raises(InvalidArgument, match="no type of nodes"):
        registry.lineage.upstream("dataset:d", types=["thing"])


def test_links_are_made_and_taken_back(registry):
    made = registry.lineage.link("dataset:b", "dataset:a", "derived_from")
    assert (str(made.downstream), made.relation, made.origin) == ("dataset:b", "DERIVED_FROM", "link")
    with pytest.raises(FailedPrecondition, match="would come from itself"):
        registry.lineage.link("dataset:a", "dataset:b")
    with pytest.raises(InvalidArgument, match="is none of derived_from"):
        registry.lineage.link("dataset:a", "dataset:b", "likes")
    registry.lineage.unlink("dataset:b", "dataset:a")
    with pytest.raises(NotFound):
        registry.lineage.unlink("dataset:b", "dataset:a")


def test_runs_are_recorded_read_and_deleted(registry):
    made = registry.runs.record("r", parameters={"lr": 0.1, "epochs": 3}, kind="training", inputs=["dataset:d"])
    assert registry.runs.get("r") == registry.runs.get(made.name) == made
    assert [run.name for run in registry.runs.list(page_size=1)] == [made.name]
    registry.runs.delete("r", etag=made.etag)
    with pytest.raises(NotFound):
        registry.runs.get("r")


def taken_by(kind, values):
    """`values` as an object of the library, which knows the fields there may be and must be."""
    names = {field.name.lstrip("_"): field for field in attr.fields(kind)}
    keys = {key.lstrip("_"): value for key, value in values.items()}
    made = {key: value for key, value in keys.items() if names[key].init}
    for key, value in made.items():
        if key == "facets":
            made[key] = {name: taken_by(FACETS[name], facet) for name, facet in value.items()}
    return kind(**made)


def test_openlineage_reads_the_events(graph):
    events = to_openlineage(graph, "mreg://p", now=NOW)
    kinds = {"run": base.Run, "job": base.Job}
    for event in events:
        inputs = [taken_by(base.InputDataset, each) for each in event["inputs"]]
        outputs = [taken_by(base.OutputDataset, each) for each in event["outputs"]]
        parts = {name: taken_by(kind, event[name]) for name, kind in kinds.items()}
        read = base.RunEvent(
            eventTime=event["eventTime"],
            eventType=base.EventType[event["eventType"]],
            producer=event["producer"],
            inputs=inputs,
            outputs=outputs,
            **parts,
        )
        assert read.schemaURL == event["schemaURL"]
        for dataset, sent in zip([*inputs, *outputs], [*event["inputs"], *event["outputs"]], strict=True):
            assert {name: facet._schemaURL for name, facet in dataset.facets.items()} == {
                name: facet["_schemaURL"] for name, facet in sent["facets"].items()
            }
    ends = {event["job"]["name"]: event for event in events if event["eventType"] != "START"}
    clean = next(event for name, event in ends.items() if name.endswith("/runs/clean"))
    train = next(event for name, event in ends.items() if name.endswith("/runs/train"))
    assert (clean["eventType"], clean["eventTime"]) == ("COMPLETE", "2026-09-01T01:00:00Z")
    assert (train["eventType"], train["eventTime"]) == ("FAIL", "2026-11-21T03:04:05Z")
    assert [each["name"] for each in clean["outputs"]] == ["dataset:clicks"]
    assert clean["outputs"][0]["facets"]["version"]["datasetVersion"] == "9"
    assert clean["inputs"][0]["facets"]["dataSource"]["uri"] == "s3://b/raw"
    assert len({event["run"]["runId"] for event in events}) * 2 == len(events)


def test_code_is_a_facet_of_the_job(registry, pipeline):
    events = to_openlineage(registry.lineage.upstream("ranker/1"), "mreg://p", now=NOW)
    [code] = [
        event["job"]["facets"]["sourceCodeLocation"]
        for event in events
        if event["eventType"] == "COMPLETE" and event["job"]["facets"]
    ]
    read = taken_by(source_code_location_job.SourceCodeLocationJobFacet, code)
    assert (read.url, read.version, read._schemaURL) == ("https://git.example/p", "4f1c", code["_schemaURL"])


def test_prov_reads_the_document_and_finds_the_same_in_it(graph):
    document = prov.model.ProvDocument.deserialize(content=json.dumps(to_prov(graph)), format="json")
    activities = {"RUN", "PREPROCESSING_STEP", "DEPLOYMENT"}
    nodes = [graph.root, *graph.nodes]
    assert len(list(document.get_records(prov.model.ProvActivity))) == sum(node.type in activities for node in nodes)
    assert len(list(document.get_records(prov.model.ProvEntity))) == sum(node.type not in activities for node in nodes)
    relations = [record for record in document.get_records() if record.is_relation()]
    assert len(relations) == len(graph.edges)
    [derived] = document.get_records(prov.model.ProvDerivation)
    assert "feature_set" in str(derived)
    # What is written again by the library says the same.
    assert json.loads(document.serialize(format="json")).keys() == to_prov(graph).keys()


@PYDOT
def test_graphviz_reads_the_drawing(graph):
    [drawn] = pydot.graph_from_dot_data(to_dot(graph))
    assert len(drawn.get_edges()) == len(graph.edges)
    assert len([node for node in drawn.get_nodes() if node.get_name().startswith("n")]) == len(graph.nodes) + 1


@PYDOT
def test_nothing_in_a_drawing_is_markup(graph):
    nasty = Node("DATASET_VERSION", 'a"]; click n0 "javascript:alert(1)"\nend|<b>\\"')
    edges = [Edge(nasty, Node("RUN", "r"), "PRODUCED_BY", "link")]
    drawn = LineageGraph(nasty, False, [], {}, edges, False)
    lines = to_mermaid(drawn).splitlines()
    assert lines[0] == "flowchart LR"
    assert len(lines) == 4
    assert re.fullmatch(r'  n0\["[^"<>|\]]*<br/>[^"<>|\]]*"\]', lines[1])
    assert lines[3] == "  n1 -->|produced by| n0"
    [read] = pydot.graph_from_dot_data(to_dot(drawn))
    assert {node.get_name() for node in read.get_nodes()} == {"n0", "n1"}
    assert len(to_mermaid(graph).splitlines()) == 1 + len(graph.nodes) + 1 + len(graph.edges)
