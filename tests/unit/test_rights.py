"""What bindings give: roles, scopes and conditions, as dictionaries."""

from datetime import UTC, datetime

import pytest

from registry_grpc.auth.permissions import RULES, Where
from registry_grpc.domain.access import Condition, Grant, RoleBinding
from registry_grpc.domain.access_names import (
    RoleBindingName,
    RoleName,
    Scope,
    ServiceAccountName,
    is_member,
    is_principal,
    place_of,
)
from registry_grpc.domain.errors import PolicyError, Reason, RegistryError
from registry_grpc.domain.names import project_not_found
from registry_grpc.domain.rights import NOTHING, Rights
from registry_grpc.domain.roles import PERMISSIONS, PREDEFINED, REGISTRY_ONLY, UNCONDITIONAL

TIME = datetime(2026, 1, 1, tzinfo=UTC)
STAGING = Condition(stages=("staging",))


def rights(*bound):
    """Of (role, project, model, condition)."""
    return Rights.of(
        (
            RoleBinding(
                uid="u",
                name=RoleBindingName(project, model, "b"),
                role=RoleName(role),
                members=("user:ada",),
                condition=condition,
                create_time=TIME,
                update_time=TIME,
            ),
            PREDEFINED[role].permissions,
        )
        for role, project, model, condition in bound
    )


FREE = Condition()


def bound(role, project="", model="", condition=FREE):
    return rights((role, project, model, condition))


def refused(who, permission, project="", model="", resource="it"):
    with pytest.raises(PolicyError) as caught:
        who.require(permission, project, model, resource)
    return caught.value


def test_the_roles_are_what_they_were_agreed_to_be():
    can = {name: set(role.permissions) for name, role in PREDEFINED.items()}
    assert set(can) == {"viewer", "contributor", "approver", "deployer", "admin"}
    assert all("models.get" in each and can["viewer"] <= each for each in can.values())
    changing = {p for p in can["viewer"] if p.partition(".")[2] in {"create", "update", "delete", "promote", "write"}}
    assert changing == set()
    assert can["contributor"] >= {"versions.create", "versions.delete", "uploads.write", "artifacts.attach"}
    assert not can["contributor"] & {"models.delete", "stages.promote", "aliases.update", "roleBindings.create"}
    assert can["deployer"] - can["viewer"] == {
        "stages.promote",
        "stages.rollback",
        "stages.vacate",
        "aliases.update",
        "deployments.report",
        "deployments.retire",
        "consumers.list",
        "stages.freeze",
        "versions.deprecate",
        "versions.yank",
        "versions.reinstate",
        "promotionRequests.create",
        "promotionRequests.comment",
    }
    assert can["approver"] - can["viewer"] == {
        "consumers.list",
        "audit.list",
        "promotionRequests.approve",
        "promotionRequests.comment",
    }
    assert not (can["deployer"] | can["contributor"] | can["approver"]) & {"stages.override", "policies.update"}
    assert can["admin"] == PERMISSIONS >= REGISTRY_ONLY | UNCONDITIONAL


def test_every_permission_a_method_needs_is_in_a_role():
    needed = {need.permission for rule in RULES.values() for need in rule.needs if need.where is not Where.CALLER} | {
        "tokens.revoke",
        "uploads.administer",
        "promotionRequests.administer",
        "stages.override",
        "projects.setQuotas",
        "serviceAccounts.setCertificateNames",
    }
    assert needed <= PERMISSIONS
    unneeded = PERMISSIONS - needed - {"projects.list"}
    assert unneeded == set(), "permissions that nothing asks for"


def test_a_role_holds_on_its_scope_and_below():
    assert bound("viewer").find("models.get", "p", "m") == Grant("models.get")
    assert bound("viewer", "p").find("models.get", "p", "m") == Grant("models.get")
    assert bound("viewer", "p").find("models.get", "q", "m") is None
    assert bound("viewer", "p").find("models.get") is None
    on_model = bound("viewer", "p", "m")
    assert on_model.find("models.get", "p", "m") == Grant("models.get")
    assert on_model.find("models.get", "p", "n") is None
    assert on_model.find("projects.get", "p") is None
    assert on_model.has_within("models.list", "p")
    assert not on_model.has_within("models.list", "q")
    assert on_model.visible_models("p") == {"m"}
    assert on_model.visible_projects() == {"p"}
    assert bound("viewer", "p").visible_models("p") is None
    assert bound("viewer").visible_projects() is None
    assert NOTHING.visible_projects() == NOTHING.visible_models("p") == frozenset()


def test_where_nothing_reaches_a_project_is_absent_word_for_word():
    for who in (NOTHING, bound("admin", "q")):
        error, known = refused(who, "models.get", "p", "m"), project_not_found("p")
        assert (error.reason, error.message, error.facts) == (known.reason, known.message, known.facts)
    for who in (bound("viewer", "p"), bound("viewer", "p", "other"), bound("viewer")):
        error = refused(who, "models.delete", "p", "m", "projects/p/models/m")
        assert error.reason is Reason.PERMISSION_MISSING
        assert error.facts == {"permission": "models.delete", "resource": "projects/p/models/m"}


def test_what_is_the_registrys_is_given_on_the_registry_only():
    for permission in REGISTRY_ONLY:
        assert bound("admin").find(permission) == Grant(permission)
        assert bound("admin", "p").find(permission, "p") is None
        assert not bound("admin", "p").has_anywhere(permission)
    assert not bound("admin", "p").reaches("q")
    only_creates = Rights.of(
        [
            (
                RoleBinding(
                    uid="u",
                    name=RoleBindingName("", "", "b"),
                    role=RoleName("r"),
                    members=("user:ada",),
                    create_time=TIME,
                    update_time=TIME,
                ),
                ("projects.create",),
            )
        ]
    )
    assert only_creates.find("projects.create")
    assert not only_creates.reaches("p"), "making projects is no reason to see those of others"


def test_conditions_add_up_and_one_binding_without_any_wins():
    one = rights(("deployer", "p", "", STAGING))
    assert one.find("stages.promote", "p", "m").conditions == (STAGING,)
    tag = Condition(read_only_tags={"a": "b"})
    two = rights(("deployer", "p", "", STAGING), ("deployer", "", "", tag), ("deployer", "p", "m", STAGING))
    assert two.find("stages.promote", "p", "m").conditions == (tag, STAGING, STAGING)
    for free in (
        ("deployer", "p", "", Condition()),
        ("admin", "", "", Condition()),
        ("deployer", "p", "m", Condition()),
    ):
        assert rights(("deployer", "p", "", STAGING), free).find("stages.promote", "p", "m") == Grant("stages.promote")
        assert rights(free, ("deployer", "p", "", STAGING)).find("stages.promote", "p", "m") == Grant("stages.promote")


def test_a_condition_takes_away_what_would_undo_it():
    limited = bound("admin", "p", condition=STAGING)
    for permission in UNCONDITIONAL:
        assert limited.find(permission, "p") is None
    assert limited.find("models.delete", "p").conditions == (STAGING,)


@pytest.mark.parametrize(
    ("condition", "stages", "tags", "allowed"),
    [
        (STAGING, ("staging",), (), True),
        (STAGING, ("production",), (), False),
        (STAGING, ("staging", "production"), (), False),
        (STAGING, (), ({"x": "y"},), True),
        (Condition(read_only_tags={"promoted": "true"}), ("production",), ({"promoted": "false"}, {}), True),
        (Condition(read_only_tags={"promoted": "true"}), (), ({}, {"promoted": "true"}), False),
        (Condition(("staging",), {"promoted": "true"}), ("staging",), ({"promoted": "true"},), False),
    ],
)
def test_a_grant_is_held_to_its_conditions(condition, stages, tags, allowed):
    grant = Grant("stages.promote", (condition,))
    if allowed:
        grant.require("it", stages=stages, tags=tags)
    else:
        with pytest.raises(RegistryError) as caught:
            grant.require("it", stages=stages, tags=tags)
        assert caught.value.reason is Reason.PERMISSION_MISSING
        assert caught.value.facts["permission"] == "stages.promote"
    Grant("stages.promote", (condition, Condition(("production", "staging")))).require("it", stages=stages)
    Grant("stages.promote").require("it", stages=stages, tags=tags)


@pytest.mark.parametrize(
    ("text", "member", "principal"),
    [
        ("user:ada", True, True),
        ("user:corp/ada@example.com", True, True),
        ("user:k8s/system:serviceaccount:ns:name", True, True),
        ("group:corp/ML team", True, False),
        ("serviceAccount:ci", True, True),
        ("serviceAccount:p/ci", True, True),
        ("authenticated", True, False),
        ("serviceAccount:p/q/ci", False, False),
        ("serviceAccount:CI", False, False),
        ("group:ml", False, False),
        ("user:", False, False),
        ("user: ada", False, False),
        ("user:ada ", False, False),
        ("user:a\u0085b", False, False),
        ("user:" + "a" * 300, False, False),
        ("everyone", False, False),
        ("system:registry", False, False),
    ],
)
def test_members_and_principals(text, member, principal):
    assert (is_member(text), is_principal(text)) == (member, principal)


def test_names_come_back_as_they_were():
    for parse, text in (
        (Scope.parse, ""),
        (Scope.parse, "projects/p/models/m"),
        (RoleName.parse, "roles/viewer"),
        (RoleBindingName.parse, "roleBindings/b"),
        (RoleBindingName.parse, "projects/p/roleBindings/b"),
        (RoleBindingName.parse, "projects/p/models/m/roleBindings/b"),
        (ServiceAccountName.parse, "serviceAccounts/a"),
        (ServiceAccountName.parse, "projects/p/serviceAccounts/a"),
    ):
        assert str(parse(text)) == text
    for parse, text in (
        (Scope.parse, "projects/"),
        (Scope.parse, "models/m"),
        (RoleBindingName.parse, "models/m/roleBindings/b"),
        (ServiceAccountName.parse, "projects/p/models/m/serviceAccounts/a"),
    ):
        with pytest.raises(RegistryError) as caught:
            parse(text)
        assert caught.value.reason is Reason.INVALID_RESOURCE_NAME
    for name in (ServiceAccountName("", "a"), ServiceAccountName("p", "a")):
        assert ServiceAccountName.of_principal(name.principal) == name
    assert ServiceAccountName.of_principal("user:a") is None


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("", ("", "")),
        ("roleBindings/b", ("", "")),
        ("tokens/t", ("", "")),
        ("projects/p", ("p", "")),
        ("projects/p/uploads/u", ("p", "")),
        ("projects/p/roleBindings/b", ("p", "")),
        ("projects/p/models/m", ("p", "m")),
        ("projects/p/models/m/versions/1/artifacts/a", ("p", "m")),
    ],
)
def test_a_name_says_what_it_lies_in(name, place):
    assert place_of(name) == place
