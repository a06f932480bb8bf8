"""Roles, bindings, accounts and tokens from the command line, against a real server."""

import json

import pytest

from registry_grpc.client import Registry


@pytest.fixture
def account(connected, request):
    """A service account of its own for each test: its id."""
    name = f"a-{abs(hash(request.node.name)) % 10**8}"
    assert connected("accounts", "create", name, "--display-name", "Pipeline").code == 0
    yield name
    connected("accounts", "delete", name)


def test_roles_are_listed_shown_made_changed_and_deleted(connected):
    listed = json.loads(connected("roles", "list", "-o", "json").out)
    assert {"roles/viewer", "roles/contributor", "roles/approver", "roles/deployer", "roles/admin"} <= {
        role["name"] for role in listed
    }
    assert "versions.create" in connected("roles", "get", "contributor").out

    made = connected("roles", "create", "releaser", "--permission", "stages.promote", "--permission", "stages.get")
    assert (made.code, "stages.promote" in made.out) == (0, True)
    changed = connected("roles", "edit", "releaser", "--permission", "stages.get", "-o", "json")
    assert json.loads(changed.out)["permissions"] == ["stages.get"]
    assert connected("roles", "delete", "releaser").code == 0
    assert connected("roles", "get", "releaser").code == 3


def test_an_unknown_permission_is_named(connected):
    result = connected("roles", "create", "odd", "--permission", "stages.fly")
    assert result.code == 2
    assert "stages.fly" in result.err


def test_a_binding_is_made_changed_and_taken_away(connected, account):
    principal = f"serviceAccount:default/{account}"
    made = connected("bindings", "create", "deployer", principal, "--id", account, "--stage", "staging", "-o", "json")
    assert made.code == 0, made.err
    binding = json.loads(made.out)
    assert binding["name"] == f"projects/default/roleBindings/{account}"
    assert binding["condition"] == {"stages": ["staging"]}
    assert account in connected("bindings", "list").out

    changed = connected("bindings", "edit", account, "--unconditional", "-o", "json")
    assert "condition" not in json.loads(changed.out) or json.loads(changed.out)["condition"] == {}
    assert connected("bindings", "delete", account).code == 0
    assert connected("bindings", "get", account).code == 3


def test_the_last_administrator_stays(connected):
    result = connected("bindings", "delete", "admin", "--registry")
    assert result.code == 5
    assert "administer" in result.err


def test_a_token_is_shown_once_and_opens_what_its_account_may(connected, server, account):
    principal = f"serviceAccount:default/{account}"
    assert connected("bindings", "create", "viewer", principal).code == 0
    issued = connected("tokens", "issue", account, "--description", "for a test", "--days", "1")
    secret = issued.out.strip()
    assert secret.startswith("mreg_")
    assert "\n" not in secret
    with Registry(server.endpoint, token=secret) as theirs:
        caller = theirs.caller()
        assert caller.principal == principal
        assert theirs.test_permissions("models.get", "models.create") == ["models.get"]
        token = caller.token
    listed = connected("tokens", "list", account).out
    assert token.removeprefix("tokens/") in listed
    assert secret not in listed
    assert connected("tokens", "revoke", token).code == 0
    assert "for a test" in connected("tokens", "list", account).out


def test_can_tells_by_its_exit_code(connected, server, account, monkeypatch):
    principal = f"serviceAccount:default/{account}"
    assert connected("bindings", "create", "deployer", principal, "--stage", "staging").code == 0
    secret = connected("tokens", "issue", account).out.strip()
    assert connected("can", "stages.promote", "--stage", "production").code == 0
    monkeypatch.setenv("MREG_TOKEN", secret)
    assert connected("can", "stages.promote", "--stage", "staging").out == "stages.promote\n"
    denied = connected("can", "stages.promote", "stages.get", "--stage", "production")
    assert (denied.code, denied.out) == (4, "stages.get\n")
    assert "stages.promote" in denied.err


def test_a_disabled_account_is_turned_away_until_it_is_enabled(connected, account, monkeypatch):
    principal = f"serviceAccount:default/{account}"
    assert connected("bindings", "create", "viewer", principal).code == 0
    secret = connected("tokens", "issue", account).out.strip()
    assert connected("accounts", "disable", account).code == 0
    monkeypatch.setenv("MREG_TOKEN", secret)
    assert connected("models", "list").code == 4
    monkeypatch.delenv("MREG_TOKEN")
    assert connected("accounts", "enable", account).code == 0
    monkeypatch.setenv("MREG_TOKEN", secret)
    assert connected("models", "list").code == 0
    # The fixture cleans up as the administrator.
    monkeypatch.delenv("MREG_TOKEN")


def test_contradictions_are_usage_errors(connected):
    assert connected("bindings", "list", "--model", "m", "--registry").code == 2
    assert connected("bindings", "edit", "x").code == 2
    assert connected("bindings", "edit", "x", "--stage", "staging", "--unconditional").code == 2
    assert connected("roles", "create", "x").code == 2
