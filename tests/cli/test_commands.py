import json
import re

import pytest
import yaml

PINNED = re.compile(r"mreg://default/[a-z0-9-]+/\d+@sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def made(server, tmp_path_factory):
    """Two versions of `shown`, with a stage, an alias and a history."""
    from registry_grpc.client import Registry

    root = tmp_path_factory.mktemp("made")
    (root / "w.bin").write_bytes(b"w" * 100)
    with Registry(server.endpoint, token=server.token) as registry:
        registry.push("shown", root, metrics={"auc": 0.9}, tags={"team": "risk"}, version_label="1.0")
        registry.push("shown", root, metrics={"auc": 0.91}, tags={"team": "risk"})
        registry.promote("shown/1", "staging", reason="fit")
        registry.set_alias("shown/1", "champion")
    return "shown"


READS = [
    ("models", "list"),
    ("models", "get", "shown"),
    ("versions", "list", "shown"),
    ("versions", "get", "shown/1"),
    ("versions", "get", "shown@champion"),
    ("versions", "check", "shown/1"),
    ("aliases", "list", "shown"),
    ("projects", "list"),
    ("projects", "get"),
    ("projects", "get", "default"),
    ("history", "shown"),
    ("history", "shown", "staging"),
    ("resolve", "shown@staging"),
    ("pull", "shown@staging"),
    ("doctor",),
]


@pytest.mark.parametrize("command", READS, ids=" ".join)
@pytest.mark.parametrize("form", ["table", "json", "yaml", "name"])
def test_every_read_in_every_form_keeps_stdout_clean(connected, made, command, form):
    result = connected(*command, "-o", form)
    assert result.code == 0, result.err
    assert result.out.strip()
    assert "\x1b" not in result.out
    if form == "json":
        json.loads(result.out)
    if form == "yaml":
        assert isinstance(yaml.safe_load(result.out), list | dict)
    if form == "name" and command[0] in {"models", "versions", "aliases", "projects", "history", "resolve", "pull"}:
        lines = result.out.split()
        assert all(line.startswith("projects/") for line in lines) or command[1] == "check"


def test_push_prints_the_pinned_form_and_nothing_else(connected, tree):
    first = connected("push", tree, "printed", "--metric", "auc=0.93", "--param", "depth=3", "--tag", "team=risk")
    assert first.code == 0, first.err
    assert PINNED.fullmatch(first.out.strip())
    again = connected("push", tree, "printed", "--metric", "auc=0.93", "--param", "depth=3", "--tag", "team=risk")
    assert again.out == first.out
    shown = json.loads(connected("-o", "json", "versions", "get", first.out.strip()).out)
    assert shown["parameters"] == {"depth": {"int64_value": 3}}
    assert shown["metrics"] == [{"name": "auc", "value": 0.93}]
    assert shown["tags"] == {"team": "risk"}
    assert shown["number"] == 1
    assert connected("resolve", "printed").out == first.out


def test_push_takes_metadata_from_files(connected, tree, tmp_path):
    (tmp_path / "requirements.txt").write_text("# pinned\nnumpy==2.1 \\\n    --hash=sha256:00\n-r other.txt\ntorch\n")
    (tmp_path / "card.md").write_text("# Card\n")
    (tmp_path / "meta.yaml").write_text(
        "task: scoring\nowner: me\ncode: {repository: https://git.example.com/x, revision: abc}\n"
        "signature: {inputs: [{name: x, data_type: float32, shape: [-1, 2]}]}\n"
    )
    files = ["--requirements", tmp_path / "requirements.txt", "--model-card", tmp_path / "card.md"]
    result = connected(
        "push", tree, "from-files", *files, "--metadata", tmp_path / "meta.yaml", "--owner", "you", "-o", "json"
    )
    assert result.code == 0, result.err
    shown = json.loads(result.out)
    assert [need["name"] for need in shown["dependencies"]] == ["numpy", "torch"]
    assert shown["owner"] == "you"
    assert shown["task"] == "scoring"
    assert shown["provenance"]["code"]["revision"] == "abc"
    assert shown["signature"]["inputs"][0]["shape"] == [-1, 2]


def test_pull_prints_the_directory(connected, made, tmp_path):
    result = connected("pull", "shown/1", tmp_path / "out")
    assert result.out.strip() == str(tmp_path / "out")
    assert PINNED.search(result.err)
    assert (tmp_path / "out" / "w.bin").read_bytes() == b"w" * 100
    assert connected("-q", "pull", "shown/1", tmp_path / "out").err == ""


def test_a_version_goes_through_the_stages_and_back(connected, tree):
    for auc in ("0.1", "0.2"):
        connected("push", tree, "moved", "--metric", f"auc={auc}")
    for number in ("1", "2"):
        assert connected("promote", f"moved/{number}", "--to", "staging").code == 0
        result = connected("promote", f"moved/{number}", "--to", "production", "--reason", f"because {number}")
        assert PINNED.fullmatch(result.out.strip())
        assert "holds production" in result.err
    assert connected("promote", "moved/1", "--to", "production", "--expect", "1").code == 5
    back = connected("rollback", "moved", "production", "-o", "json")
    assert json.loads(back.out)["version_number"] == 1
    assert "because 2" in connected("history", "moved", "production").out
    assert connected("rollback", "moved", "production").code == 5


def test_a_dry_run_changes_nothing(connected, tree):
    connected("push", tree, "dry")
    assert "would hold" in connected("promote", "dry/1", "--to", "staging", "--dry-run").err
    assert connected("resolve", "dry@staging").code == 3


def test_models_are_made_changed_deleted_and_restored(connected):
    assert connected("models", "create", "edited", "--tag", "a=1", "--tag", "b=2").code == 0
    assert connected("models", "create", "edited").code == 5
    changed = connected("models", "edit", "edited", "--owner", "me", "--tag", "a=3", "--untag", "b", "-o", "json")
    assert json.loads(changed.out)["tags"] == {"a": "3"}
    assert connected("models", "edit", "edited").code == 2
    assert connected("models", "edit", "edited", "--owner", "you", "--etag", "0000000000000000").code == 5
    assert connected("models", "delete", "edited").code == 0
    assert "edited" not in connected("models", "list").out
    assert "edited" in connected("models", "list", "--deleted").out
    assert connected("models", "restore", "edited").code == 0


def test_versions_are_tagged_deleted_and_restored(connected, tree):
    connected("push", tree, "tagged", "--tag", "a=1")
    result = connected("versions", "tag", "tagged/1", "b=2", "a-", "-o", "json")
    assert json.loads(result.out)["tags"] == {"b": "2"}
    assert connected("versions", "tag", "tagged/1", "nothing-").code == 2
    assert connected("versions", "delete", "tagged/1").code == 0
    assert connected("versions", "restore", "tagged/1").code == 0


def test_what_a_version_lacks_is_reported(connected, made):
    assert "model_card" in connected("versions", "check", "shown/1").out
    assert connected("versions", "check", "shown/1", "--strict").code == 1
    missing = json.loads(connected("versions", "check", "shown/1", "-o", "json").out)["missing"]
    assert "metrics" not in missing


def test_aliases_are_set_and_deleted(connected, tree):
    connected("push", tree, "pointed")
    assert json.loads(connected("aliases", "set", "pointed/1", "champion", "-o", "json").out)["version_number"] == 1
    assert connected("aliases", "set", "pointed/1", "champion", "--expect", "3").code == 5
    assert connected("aliases", "delete", "pointed", "champion").code == 0
    assert connected("aliases", "delete", "pointed", "champion").code == 3


def test_projects_are_made_and_changed(connected, tmp_path):
    stages = tmp_path / "stages.yaml"
    stages.write_text("- {id: new, initial: true}\n- {id: live, accepts_from: ['*']}\n")
    assert connected("projects", "create", "team", "--stages", stages).code == 0
    shown = json.loads(connected("projects", "get", "team", "-o", "json").out)
    assert [stage["id"] for stage in shown["stages"]] == ["new", "live"]
    assert connected("projects", "edit", "team", "--display-name", "The Team", "--tag", "a=1").code == 0
    assert "The Team" in connected("projects", "list").out
    assert connected("--project", "team", "models", "create", "own").code == 0
    assert connected("models", "get", "team:own", "-o", "name").out == "projects/team/models/own\n"


def test_the_past_of_a_stage_can_be_asked_for(connected, tree):
    for auc in ("0.1", "0.2"):
        connected("push", tree, "past", "--metric", f"auc={auc}")
        connected("promote", "past@latest", "--to", "staging")
    second, first = json.loads(connected("history", "past", "staging", "-o", "json").out)
    assert connected("resolve", "past@staging").out.startswith("mreg://default/past/2@")
    assert connected("resolve", "past@staging", "--as-of", first["assign_time"]).out.startswith(
        "mreg://default/past/1@"
    )
    assert connected("resolve", "past@staging", "--as-of", "2020-01-01T00:00:00Z").code == 3
    assert second["version_number"] == 2
