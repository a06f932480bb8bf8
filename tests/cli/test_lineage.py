"""`mreg lineage` and `mreg runs` against a real server."""

import json

import pytest

from tests.kit.catalogue import Catalogue


@pytest.fixture
def project(server, monkeypatch):
    catalogue = Catalogue(server.api())
    name = catalogue.parent.removeprefix("projects/")
    monkeypatch.setenv("MREG_PROJECT", name)
    yield name
    catalogue.api.close()


@pytest.fixture
def pipeline(connected, project, tree):
    assert connected("push", tree, "ranker").code == 0
    recorded = connected(
        *("runs", "record", "train", "--input", "dataset:clicks@9", "--made", "ranker/1", "--kind", "training"),
        *("--outcome", "succeeded", "--param", "lr=0.1", "--code", "https://git.example/p@4f1c", "-o", "name"),
    )
    assert (recorded.code, recorded.out) == (0, f"projects/{project}/runs/train\n"), recorded.err
    assert connected("deployments", "report", "ranker/1", "search", "-e", "prod").code == 0


def test_a_tree_from_a_dataset_to_what_runs(connected, project, pipeline):
    shown = connected("lineage", "dataset:clicks@9", "--downstream")
    lines = shown.out.splitlines()
    assert shown.code == 0, shown.err
    version = f"version:projects/{project}/models/ranker/versions/1"
    assert lines[0] == "dataset:clicks@9"
    assert lines[1] == f"└── [used] run:projects/{project}/runs/train (outcome=succeeded)"
    assert lines[2].startswith(f"    └── [produced by] {version} (state=ready")
    assert lines[3].startswith(f"        └── [runs] deployment:projects/{project}/deployments/")
    assert len(lines) == 4
    assert connected("lineage", "show", "dataset:clicks@9", "-d", "-o", "tree").out == shown.out
    assert connected("lineage", "-d", "dataset:clicks@9").out == shown.out


def test_every_form(connected, project, pipeline):
    found = json.loads(connected("lineage", "ranker/1", "-o", "json").out)
    assert [node["type"] for node in found["nodes"]] == ["MODEL_VERSION", "RUN", "CODE_REVISION", "DATASET_VERSION"]
    assert {edge["relation"] for edge in found["edges"]} == {"PRODUCED_BY", "USED"}
    assert connected("lineage", "ranker/1", "-o", "dot").out.startswith("digraph lineage {")
    assert connected("lineage", "ranker/1", "--output=mermaid").out.startswith("flowchart LR\n")
    assert json.loads(connected("lineage", "ranker/1", "-o", "prov").out)["activity"]
    [start, end] = json.loads(connected("lineage", "ranker/1", "-o", "openlineage").out)
    assert (start["eventType"], end["eventType"], end["job"]["namespace"]) == (
        "START",
        "COMPLETE",
        f"mreg://projects/{project}",
    )
    names = connected("lineage", "ranker/1", "-o", "name").out.split()
    assert names[-1] == "dataset:clicks@9"
    refused = connected("lineage", "ranker/1", "-o", "svg")
    assert refused.code == 2


def test_only_some_types_and_not_so_far(connected, project, pipeline):
    shown = connected("lineage", "dataset:clicks@9", "--downstream", "--type", "deployment", "-o", "name")
    assert len(shown.out.split()) == 1
    near = connected("lineage", "dataset:clicks@9", "--downstream", "--depth", "1")
    assert len(near.out.splitlines()) == 2
    assert "more lies further than 1 steps" in near.err


def test_links_come_and_go(connected, project):
    linked = connected("lineage", "link", "dataset:b", "dataset:a")
    assert (linked.code, linked.out) == (0, "dataset:b derived from dataset:a\n"), linked.err
    again = connected("lineage", "link", "dataset:a", "dataset:b")
    assert again.code != 0
    assert "would come from itself" in again.err
    assert connected("lineage", "unlink", "dataset:b", "dataset:a").code == 0
    assert connected("lineage", "unlink", "dataset:b", "dataset:a").code == 3
    assert connected("lineage", "dataset:b").code == 3


def test_runs_are_shown_listed_and_deleted(connected, project, pipeline):
    shown = connected("runs", "get", "train")
    assert "training" in shown.out
    assert "https://git.example/p@4f1c" in shown.out
    listed = connected("runs", "list")
    assert listed.out.splitlines()[1].startswith("train")
    assert connected("runs", "delete", "train").code == 0
    assert connected("runs", "get", "train").code == 3


def test_a_server_does_not_drive_the_terminal(connected, project):
    from registry_grpc.cli.lineage_views import tree
    from registry_grpc.client.lineage_graph import LineageGraph, Node

    shown = tree(LineageGraph(Node("DATASET_VERSION", "a\x1b[2Jb\n"), False, [], {}, [], False))
    assert shown == "dataset:a [2Jb "
