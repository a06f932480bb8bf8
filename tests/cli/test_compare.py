"""`mreg compare`, `mreg deps`, `mreg bom` and `mreg card`."""

import json
import sys
import uuid

import pytest
import yaml

from registry_grpc.cli import comparison_views
from registry_grpc.client import Registry
from registry_grpc.v1 import catalogue_pb2


@pytest.fixture(scope="module")
def model(server, tmp_path_factory):
    """A model of two READY versions and a draft."""
    name = f"fraud-{uuid.uuid4().hex[:8]}"
    directory = tmp_path_factory.mktemp("model")
    with Registry(server.endpoint, token=server.token) as registry:
        for auc, numpy in ((0.9, "1.26.4"), (0.85, "2.1.0")):
            (directory / "w.bin").write_text(str(auc))
            (directory / "same.bin").write_text("same")
            registry.push(
                name,
                directory,
                owner="ann",
                framework=f"xgboost=={numpy[0]}.0",
                dependencies=[f"numpy=={numpy}", f"{name}==1", {"ecosystem": "conda", "name": "python_abi"}],
                parameters={"lr": auc},
                metrics=[{"name": "auc", "value": auc, "direction": "maximise", "dataset": "q3"}],
                signature={"inputs": [{"name": "x", "data_type": "float32" if auc == 0.9 else "int64"}]},
            )
        registry.create_version(name)
    return name


def test_versions_lie_side_by_side(connected, model):
    done = connected("compare", f"{model}/1", f"{model}/2")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["FIELD", f"{model.upper()}/1", f"{model.upper()}/2"] in lines
    assert ["framework", "xgboost==1.0", "xgboost==2.0"] in lines
    assert ["owner", "ann", "ann"] in lines
    assert ["auc", "on", "q3", "↑", "0.9", "*", "0.85", "(-0.05)", "!"] in lines
    assert ["pypi:numpy", "1.26.4", "2.1.0"] in lines
    assert f"{model}/2: callers of {model}/1 cannot go on: input 'x' is int64, was float32" in done.out
    assert f"{model}/2, files: 1 the same, 4 B shared\n  ~ w.bin" in done.out
    few = connected("compare", f"{model}/1", f"{model}@latest", "--differences")
    assert "owner" not in few.out
    assert "xgboost==2.0" in few.out
    assert connected("compare", f"{model}/1", f"{model}/1", "-d").out.startswith(f"{model}/1, files: 2 the same")


def test_a_comparison_is_json_for_programs(connected, model):
    found = json.loads(connected("compare", f"{model}/1", f"{model}/2", "-o", "json").out)
    (metric,) = found["metrics"]
    assert metric["cells"][1]["delta"] == pytest.approx(-0.05)
    assert "better" not in metric["cells"][0]
    assert found["signatures"][0]["changed"] == ["input:x is int64, was float32"]
    named = connected("compare", f"{model}/1", f"{model}/2", "-o", "name").out.split()
    assert [name.rpartition("/")[2] for name in named] == ["1", "2"]


def test_what_cannot_be_compared_is_an_error_of_usage(connected, model):
    assert connected("compare", f"{model}/1").code == 2
    assert connected("compare", f"{model}/1", f"{model}/99").code == 3


def test_a_wide_comparison_fits_the_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    found = catalogue_pb2.CompareVersionsResponse()
    for number in (1, 2):
        found.versions.add(name=f"projects/p/models/m/versions/{number}")
    found.fields.add(field="owner", values=["x" * 500, "\x1b[31mred"])
    lines = comparison_views.tables(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[1].endswith("…")
    assert "\x1b" not in "".join(lines)


def test_packages_are_listed_and_their_users_found(connected, model):
    listed = connected("deps", f"{model}/1").out.splitlines()
    assert listed[0].split() == ["ECOSYSTEM", "PACKAGE", "VERSION", "MARKER"]
    assert listed[1].split()[:3] == ["pypi", "numpy", "1.26.4"]
    assert json.loads(connected("deps", f"{model}/2", "-o", "json").out)[0]["version"] == "2.1.0"
    who = connected("deps", "--who", f"{model.replace('-', '_').upper()}")
    assert [row.split()[0] for row in who.out.splitlines()[1:]] == [f"{model}/1", f"{model}/2"]
    old = connected("deps", "--who", "NumPy == 1.*", "-A").out.splitlines()
    assert old[0].split()[-1] == "NUMPY"
    assert [row.split()[-1] for row in old if f"{model}/" in row] == ["1.26.4"]
    assert f"{model}/1" in connected("deps", "--who", "python_abi").out
    assert connected("deps", "--who", "nobody-has-this").out.count("\n") == 1
    for wrong in ([], [f"{model}/1", "--who", "numpy"], ["--who", "numpy>1"]):
        assert connected("deps", *wrong).code == 2


def test_a_bill_of_materials_goes_to_stdout_or_a_file(connected, model, tmp_path):
    shown = json.loads(connected("bom", f"{model}/1").out)
    assert shown["specVersion"] == "1.6"
    assert connected("bom", f"{model}/1", "-f", tmp_path / "bom.json").code == 0
    assert json.loads((tmp_path / "bom.json").read_text()) == shown


def test_a_card_is_written_in_parts_and_shown(connected, model, tmp_path):
    assert "has no card" in connected("card", f"{model}/1").err
    (tmp_path / "uses.md").write_text("Payments of **shops**")
    parts = ["--intended-use", f"@{tmp_path / 'uses.md'}", "--license", "apache-2.0", "--language", "en"]
    done = connected("card", "set", f"{model}/1", *parts, "--contact", "ann@example.org", "--contact", "#risk")
    assert done.code == 0, done.err
    assert connected("card", "set", f"{model}/1", "--limitations", "Few rows", "--markdown", "# Fraud").code == 0
    shown = connected("card", f"{model}/1").out
    assert shown == connected("card", "show", f"{model}/1").out
    assert "License: apache-2.0" in shown
    assert "# Fraud\n\n## Intended use\n\nPayments of **shops**\n\n## Limitations\n\nFew rows" in shown
    assert "- ann@example.org\n- #risk" in shown
    assert connected("card", "set", f"{model}/1", "--contact", "").code == 0
    plain = json.loads(connected("card", f"{model}/1", "-o", "json").out)
    assert plain["card"] == {
        "intended_use": "Payments of **shops**",
        "limitations": "Few rows",
        "license": "apache-2.0",
        "languages": ["en"],
    }
    assert connected("card", "set", f"{model}/1").code == 2
    assert connected("card", "set", f"{model}/1", "--license", "x", "--etag", "0" * 16).code == 5
    assert connected("card", "set", f"{model}/1", "--limitations", "@nowhere.md").code == 2


def test_a_card_goes_out_as_hugging_face_has_it_and_comes_in_again(connected, model, tmp_path):
    connected("card", "set", f"{model}/2", "--limitations", "Few", "--license", "mit", "--markdown", "# Fraud")
    out = connected("card", "export", f"{model}/2")
    front = yaml.safe_load(out.out.split("---\n")[1])
    assert (front["license"], front["library_name"]) == ("mit", "xgboost")
    result = front["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "q3", "type": "q3"}
    assert result["metrics"] == [{"type": "auc", "value": 0.85}]
    assert connected("card", "export", f"{model}/2", tmp_path / "README.md").code == 0
    assert connected("card", "import", f"{model}/3", tmp_path / "README.md").code == 0
    cards = [json.loads(connected("card", f"{model}/{number}", "-o", "json").out) for number in (2, 3)]
    assert cards[0] | {"version": ""} == cards[1] | {"version": ""}
    bomb = "---\na: &a [x, x]\nb: [*a, *a]\n---\n# Card"
    (tmp_path / "bomb.md").write_text(bomb)
    refused = connected("card", "import", f"{model}/3", tmp_path / "bomb.md")
    assert (refused.code, "alias" in refused.err) == (2, True)


def test_a_card_is_rendered_for_people_and_hides_no_link(connected, model, monkeypatch):
    text = "# Fraud\n\n[Click](https://evil.example) <script>alert(1)</script>"
    connected("card", "set", f"{model}/2", "--markdown", text)
    assert "<script>" in connected("card", f"{model}/2").out
    monkeypatch.setattr("registry_grpc.cli.cards.sys.stdout.isatty", lambda: True, raising=False)
    shown = connected("card", f"{model}/2").out
    assert "https://evil.example" in shown
    assert "\x1b]8" not in shown


def test_a_card_can_be_pushed_with_the_model(connected, tree, tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Fraud\n\n## Limitations\n\nFew rows\n")
    made = json.loads(connected("push", tree, "carded", "--card", tmp_path / "README.md", "-o", "json").out)
    assert (made["model_card"], made["card"]) == ("# Fraud", {"limitations": "Few rows", "license": "mit"})
    assert "model_card" not in connected("versions", "check", "carded/1").out
