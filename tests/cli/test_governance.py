"""`mreg policies`, `policy test`, `requests`, `stages`, and the withdrawal of versions, against a real server."""

import json
from pathlib import Path

import pytest

from registry_grpc.v1 import versions_pb2
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id

POLICY = """
stages: [production]
rules:
  - {id: owner, required_fields: {paths: [owner]}}
  - {id: people, approvals: {count: 1}}
"""
DOCS = Path(__file__).parents[2] / "docs" / "policies"


@pytest.fixture
def project(server, monkeypatch):
    catalogue = Catalogue(server.api())
    monkeypatch.setenv("MREG_PROJECT", catalogue.parent.removeprefix("projects/"))
    yield catalogue
    catalogue.api.close()


@pytest.fixture
def policy(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return file


@pytest.fixture
def model(project):
    """A model whose first version is in staging."""
    name = project.model("fraud")
    project.promote(project.ready(name).name, "staging")
    return "fraud"


@pytest.fixture
def person(server, project):
    """The token of somebody with a role in the project."""
    office = Office(server)

    def of(role):
        principal = f"user:{new_id(role)}"
        office.bind(role, project.parent, principal)
        return office.issue(principal).secret

    yield of
    office.close()


def shown(result, code=0):
    assert result.code == code, result.err
    return json.loads(result.out)


def own(project, model):
    version = versions_pb2.ModelVersion(name=f"{project.parent}/models/{model}/versions/1", owner="risk")
    project.api.models.UpdateVersion(versions_pb2.UpdateVersionRequest(version=version))


def test_policies_are_applied_listed_shown_and_deleted(connected, project, policy):
    made = shown(connected("policies", "apply", "prod", policy, "-o", "json"))
    assert made["policy_version"] == 1
    policy.write_text(POLICY + "fast_rollback: true\n")
    assert shown(connected("policies", "apply", "prod", policy, "-o", "json"))["policy_version"] == 2
    assert [each["name"] for each in shown(connected("policies", "list", "-o", "json"))] == [made["name"]]
    assert "owner, people" in connected("policies", "list").out
    assert not shown(connected("policies", "get", "prod", "--version", "1", "-o", "json")).get("fast_rollback")
    assert connected("policies", "delete", "prod").code == 0
    assert connected("policies", "get", "prod").code == 3
    assert len(shown(connected("policies", "versions", "prod", "-o", "json"))) == 2


def test_a_file_that_is_no_policy_is_refused_with_what_is_wrong(connected, project, tmp_path):
    for text, said in (
        ("stages: [production]\nrules: [{id: a, owner: {}}]", "owner"),
        ("rules: [", "policy"),
        ("stages: [moon]\nrules: [{id: a, approvals: {count: 1}}]", "moon"),
        ("stages: [production]\nrules: [{id: a, expression: {expression: version.nope}}]", "nope"),
    ):
        (tmp_path / "p.yaml").write_text(text)
        result = connected("policies", "apply", "prod", tmp_path / "p.yaml")
        assert (result.code, said in result.err) == (2, True), result.err


def test_a_policy_is_tried_with_a_version_of_the_registry_and_with_files_alone(
    connected, mreg, project, model, policy, tmp_path, monkeypatch
):
    tried = connected("policy", "test", policy, f"{model}/1")
    assert (tried.code, "FAILED" in tried.out) == (1, True)
    version = connected("versions", "get", f"{model}/1", "-o", "json").out
    own(project, model)
    assert connected("policy", "test", policy, f"{model}/1").code == 0
    # From here on nobody is asked.
    monkeypatch.setenv("MREG_ENDPOINT", "127.0.0.1:1")
    (tmp_path / "v.json").write_text(version)
    tried = mreg("policy", "test", policy, "--version-file", tmp_path / "v.json", "-o", "json")
    assert {check["rule"]: check.get("passed", False) for check in shown(tried, 1)} == {"owner": False, "people": True}
    assert mreg("policy", "test", policy).code == 2
    (tmp_path / "v.json").write_text("no json")
    assert mreg("policy", "test", policy, "--version-file", tmp_path / "v.json").code == 2


def test_somebody_else_approves_and_the_promotion_goes_through(connected, project, model, policy, person, monkeypatch):
    connected("policies", "apply", "prod", policy)
    assert connected("stages", "evaluate", f"{model}/1", "--to", "production").code == 1
    refused = connected("promote", f"{model}/1", "--to", "production")
    assert (refused.code, "rule 'owner'" in refused.err) == (5, True), refused.err
    own(project, model)
    assert "must approve it" in connected("promote", f"{model}/1", "--to", "production").err
    made = shown(
        connected("requests", "create", f"{model}/1", "--to", "production", "--reason", "better", "-o", "json")
    )
    assert made["state"] == "STATE_PENDING"
    assert connected("requests", "approve", f"{model}/1").code == 4
    assert connected("requests", "comment", f"{model}/1", "look at the report").code == 0
    with monkeypatch.context() as as_somebody:
        as_somebody.setenv("MREG_TOKEN", person("approver"))
        rejected = shown(connected("requests", "reject", f"{model}/1", "-m", "no report", "-o", "json"))
        assert rejected["state"] == "STATE_REJECTED"
        assert connected("requests", "commit", f"{model}/1").code == 4
        assert "approved" in connected("requests", "approve", f"{model}/1", "-m", "seen").out
    assert [each["name"] for each in shown(connected("requests", "list", "--state", "approved", "-o", "json"))] == [
        made["name"]
    ]
    assert connected("requests", "list", "--state", "nope").code == 2
    assert connected("stages", "evaluate", f"{model}/1", "--to", "production").code == 0
    assert shown(connected("requests", "commit", made["name"], "-o", "json"))["state"] == "STATE_COMMITTED"
    assert "look at the report" in connected("requests", "show", f"{model}/1").out
    assert connected("requests", "withdraw", f"{model}/1").code == 5
    assert connected("requests", "show", f"{model}/9").code == 3
    assert connected("requests", "show", "nothing").code == 2


def test_breaking_glass_needs_a_reason_and_is_seen(connected, model, policy, person, monkeypatch):
    connected("policies", "apply", "prod", policy)
    assert connected("promote", f"{model}/1", "--to", "production", "--break-glass").code == 2
    broken = ("promote", f"{model}/1", "--to", "production", "--break-glass", "--reason", "INC-12")
    with monkeypatch.context() as as_somebody:
        as_somebody.setenv("MREG_TOKEN", person("deployer"))
        assert connected(*broken).code == 4
    assert connected(*broken).code == 0
    assert shown(connected("history", model, "-o", "json"))[0]["break_glass"] is True


def test_a_frozen_stage_stays_as_it_is(connected, model):
    frozen = connected("stages", "freeze", model, "production", "-m", "audit")
    assert (frozen.code, "audit" in frozen.err + frozen.out) == (0, True)
    refused = connected("promote", f"{model}/1", "--to", "production")
    assert (refused.code, "is frozen by user:admin: audit" in refused.err) == (5, True), refused.err
    listed = shown(connected("stages", "list", model, "-o", "json"))
    assert [each.get("frozen", False) for each in listed] == [False, False, True, False]
    assert connected("stages", "unfreeze", model, "production").code == 0
    assert connected("promote", f"{model}/1", "--to", "production").code == 0


def test_versions_are_deprecated_yanked_and_reinstated(connected, model):
    assert "deprecated" in connected("versions", "deprecate", f"{model}/1", "-m", "old").out
    yanked = shown(connected("versions", "yank", f"{model}/1", "-m", "leaked", "-o", "json"))
    assert (yanked["state"], yanked["state_reason"]) == ("VERSION_STATE_YANKED", "leaked")
    assert connected("promote", f"{model}/1", "--to", "production").code == 5
    assert shown(connected("versions", "reinstate", f"{model}/1", "-o", "json"))["state"] == "VERSION_STATE_READY"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_policies_of_the_documentation_are_accepted_and_explained(connected, model, path):
    assert connected("policies", "apply", path.stem, path).code == 0
    checks = shown(connected("stages", "evaluate", f"{model}/1", "--to", "production", "-o", "json"), 1)
    found = {check["rule"]: check.get("passed", False) for check in checks if check.get("policy")}
    found.pop("weekdays", None)  # depends on the day
    assert (
        found
        == {
            "solo": {"described": False, "not-worse": True, "no-code": True, "model-card": False},
            "ci-only": {"tested": False, "label-grows": True, "by-ci": False},
            "regulated": {
                "card": False,
                "soaked": False,
                "four-eyes": False,
                "evaluated": False,
                "callers-go-on": True,
                "label-grows": True,
                "no-code": True,
            },
        }[path.stem]
    )
