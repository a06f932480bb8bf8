"""What `scripts/slo` writes: the same every time, what is committed, and what promtool finds no fault with."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from registry_grpc.observability.objectives_document import parse, shipped
from tests.kit.engines import ROOT
from tests.kit.prometheus import promtool, rules

SOURCE = ROOT / "slo/registry.yaml"
CASES = sorted((ROOT / "slo/tests").glob("*.yaml"))
RUNBOOKS = ROOT / "docs/runbooks"
PARTS = ["What it means", "What users feel", "First look", "Likely causes", "How to mend it", "How to know it is over"]


def slo(*arguments):
    command = [sys.executable, ROOT / "scripts/slo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def alerts():
    """Return every alert rule that is committed."""
    groups = yaml.safe_load((ROOT / "slo/rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_what_is_committed_is_what_is_generated():
    checked = slo("--check")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_package_carries_the_source():
    assert shipped() == parse(yaml.safe_load(SOURCE.read_text()))


def test_two_runs_write_the_same(tmp_path):
    first, second = (rules(tmp_path / name, 60).read_bytes() for name in ("a.yaml", "b.yaml"))
    assert first == second
    assert first != (ROOT / "slo/rules.yaml").read_bytes()


def test_a_change_of_the_source_is_noticed(tmp_path):
    changed = tmp_path / "registry.yaml"
    changed.write_text(SOURCE.read_text().replace("target: 99.95", "target: 99.5"))
    checked = slo("--check", "--source", changed)
    assert checked.returncode == 1
    stale = set(re.findall(r"scripts/slo: (\S+) is stale", checked.stderr))
    assert {"slo/rules.yaml", "docs/slo.md", "deploy/helm/registry-grpc/files/rules.yaml"} <= stale
    assert "slo/dashboard.json" not in stale


def test_a_fault_in_the_source_is_told_in_one_line(tmp_path):
    broken = tmp_path / "registry.yaml"
    broken.write_text(SOURCE.read_text().replace("target: 99.95", "target: 199"))
    checked = slo("--check", "--source", broken)
    assert checked.returncode == 1
    assert checked.stderr == (
        "scripts/slo: registry.yaml: objectives[1].target is 199; give a percentage above 0 and below 100\n"
    )


def test_the_chart_gets_the_same_rules_and_dashboard():
    files = ROOT / "deploy/helm/registry-grpc/files"
    assert (files / "rules.yaml").read_bytes() == (ROOT / "slo/rules.yaml").read_bytes()
    assert (files / "dashboard.json").read_bytes() == (ROOT / "slo/dashboard.json").read_bytes()


def test_promtool_reads_the_rules(tmp_path):
    assert "SUCCESS" in promtool("check", "rules", ROOT / "slo/rules.yaml")
    assert "SUCCESS" in promtool("check", "rules", rules(tmp_path / "fast.yaml", 60))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_promtool_tests_the_rules(case):
    assert "SUCCESS" in promtool("test", "rules", case)


def test_promtool_reads_the_queries_of_sloth(tmp_path):
    spec = yaml.safe_load((ROOT / "slo/sloth.yaml").read_text())
    assert (spec["version"], spec["service"]) == ("prometheus/v1", shipped().service)
    assert [each["name"] for each in spec["slos"]] == [each.name for each in shipped().objectives]
    queries = [query for each in spec["slos"] for query in each["sli"]["events"].values()]
    assert all("[{{.window}}]" in query for query in queries)
    made = [{"record": f"q{at}", "expr": query.replace("{{.window}}", "5m")} for at, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "sloth", "rules": made}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")


def test_the_cases_say_something(tmp_path):
    """Rules that never fire would pass the silent half of them: without alerts the loud half must fail."""
    document = yaml.safe_load((ROOT / "slo/rules.yaml").read_text())
    document["groups"] = document["groups"][:1]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "slo/tests/integrity.yaml", tmp_path / "tests")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", tmp_path / "tests/integrity.yaml")


def test_every_alert_has_been_heard():
    """There is a case in which each alert fires, and one in which it does not."""
    loud, silent = set(), set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for asked in case.get("alert_rule_test", ()):
                (loud if asked["exp_alerts"] else silent).add(asked["alertname"])
            for asked in case.get("promql_expr_test", ()):
                if asked["exp_samples"]:
                    loud.update(re.findall(r'ALERTS\{alertname="(\w+)"', asked["expr"]))
    assert {rule["alert"] for rule in alerts()} - loud == set()
    assert {rule["alert"] for rule in alerts()} - silent == set()


def test_every_alert_leads_to_a_runbook_and_every_runbook_comes_from_an_alert():
    linked = {rule["annotations"]["runbook_url"].removeprefix(f"{shipped().runbooks}/") for rule in alerts()}
    assert linked == {f"{rule['alert']}.md" for rule in alerts()}
    assert {path.name for path in RUNBOOKS.glob("*.md")} == linked
    for name in linked:
        page = (RUNBOOKS / name).read_text()
        assert page.startswith(f"# {name.removesuffix('.md')}\n")
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == PARTS


def test_runbooks_name_commands_and_metrics_that_are_there():
    from typer.main import get_command

    from registry_grpc.cli.app import app

    known = set(re.findall(r"`((?:registry|grpc)_\w+)`", (ROOT / "docs/metrics.md").read_text()))
    program = get_command(app)
    for path in RUNBOOKS.glob("*.md"):
        page = path.read_text()
        for metric in re.findall(r"\b((?:registry|grpc_server)_[a-z_]+)", page):
            base = re.sub(r"_(bucket|count|sum)$", "", metric)
            assert base in known or metric in {"registry_slo", "registry_grpc"}, f"{path.name}: {metric}"
        for words in re.findall(r"\bmreg ([a-z][a-z -]*[a-z])", "\n".join(_code(page))):
            first, *rest = words.split()
            assert first in program.commands, f"{path.name}: mreg {first}"
            below = getattr(program.commands[first], "commands", None)
            assert below is None or (rest and rest[0] in below), f"{path.name}: mreg {words}"


def _code(page):
    """Return the commands of a page."""
    inline = [" ".join(code.split()) for code in re.findall(r"`(mreg [^`]+)`", page)]
    return [*re.findall(r"```sh\n(.*?)```", page, re.DOTALL), *inline]


def test_the_dashboard_is_for_any_grafana():
    board = json.loads((ROOT / "slo/dashboard.json").read_text())
    assert board["uid"] == "registry-grpc"
    assert "id" not in board
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert max(x for x, _ in cells) < 24
