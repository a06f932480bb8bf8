"""Roles, bindings, service accounts and tokens over real servers."""

import contextlib
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.domain.identity import parse_token
from registry_grpc.domain.roles import PERMISSIONS, PREDEFINED
from registry_grpc.v1 import access_pb2 as pb
from registry_grpc.v1 import projects_pb2, versions_pb2
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id, pages, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused
from tests.kit.waiting import until


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture(scope="module")
def office(server):
    office = Office(server)
    yield office
    office.close()


@pytest.fixture
def access(office):
    return office.api.access


@pytest.fixture
def project(office):
    return Catalogue(office.api).parent


def role(access, *permissions, **fields):
    fields = {"display_name": "Mine", "description": "a\nb"} | fields
    request = pb.CreateRoleRequest(role_id=new_id("role"), role=pb.Role(permissions=permissions, **fields))
    return access.CreateRole(request)


def stored(server, query):
    """What the database holds."""
    if "database_url" in server.settings:
        address = server.settings["database_url"].replace("postgresql+psycopg://", "postgresql://", 1)
        with psycopg.connect(address) as connection:
            return connection.execute(query).fetchall()
    with contextlib.closing(sqlite3.connect(server.data_dir / "registry.db")) as connection:
        return connection.execute(query).fetchall()


def test_a_caller_is_told_who_it_is_and_what_is_in_force_for_it(office, server, access, project):
    who = office.somebody()
    binding = office.bind("viewer", project, who.principal, "user:ada")
    everyone = office.bind("viewer", project, "authenticated")
    caller = who.at(server).access.GetCaller(pb.GetCallerRequest())
    assert (caller.principal, caller.token) == (who.principal, who.token.name)
    assert caller.method == pb.AUTHENTICATION_METHOD_TOKEN
    assert caller.expire_time == who.token.expire_time
    names = [each.name for each in caller.role_bindings]
    assert binding.name in names
    assert everyone.name in names
    office.unbind(everyone.name)
    admin = access.GetCaller(pb.GetCallerRequest())
    assert "roleBindings/admin" in [each.name for each in admin.role_bindings]


def test_permissions_are_tested_without_telling_a_foreign_project_from_none(office, server, project):
    who = office.bound("contributor", project).at(server).access
    wanted = ["versions.delete", "models.delete", "models.get", "no.such"]

    def held(resource):
        return list(who.TestPermissions(pb.TestPermissionsRequest(resource=resource, permissions=wanted)).permissions)

    assert held(project) == ["versions.delete", "models.get"]
    assert held(f"{project}/models/m/versions/1") == ["versions.delete", "models.get"]
    assert held("projects/default") == held("projects/never-made") == held("") == []
    assert refused(who.TestPermissions, pb.TestPermissionsRequest(resource=project)).fields == ("permissions",)


def test_a_custom_role_gives_what_it_says_and_changes_for_everyone_bound_to_it(office, server, access, project):
    made = role(access, "projects.get", "models.list", "models.list")
    assert (list(made.permissions), made.predefined) == (["models.list", "projects.get"], False)
    assert access.GetRole(pb.GetRoleRequest(name=made.name)) == made
    api = office.bound(made.name.removeprefix("roles/"), project).at(server)
    update = projects_pb2.UpdateProjectRequest(project=projects_pb2.Project(name=project, description="x"))
    assert refused(api.projects.UpdateProject, update).reason == "PERMISSION_MISSING"

    changed = access.UpdateRole(
        pb.UpdateRoleRequest(role=pb.Role(name=made.name, permissions=["projects.update"], etag=made.etag))
    )

    assert (list(changed.permissions), changed.description) == (["projects.update"], "a\nb")
    assert api.projects.UpdateProject(update).description == "x"
    stale = pb.UpdateRoleRequest(role=pb.Role(name=made.name, description="y", etag=made.etag))
    assert refused(access.UpdateRole, stale).reason == "ETAG_MISMATCH"
    in_use = refused(access.DeleteRole, pb.DeleteRoleRequest(name=made.name))
    assert (in_use.code, in_use.reason) == ("FAILED_PRECONDITION", "ROLE_IN_USE")
    [bound] = in_use.subjects
    office.unbind(bound)
    access.DeleteRole(pb.DeleteRoleRequest(name=made.name))
    assert refused(access.GetRole, pb.GetRoleRequest(name=made.name)).reason == "ROLE_NOT_FOUND"


def test_predefined_roles_are_listed_with_custom_ones_and_never_change(access):
    made = role(access, "models.get")
    found = {each.name: each for each in pages(access.ListRoles, pb.ListRolesRequest(page_size=2))}
    assert list(found) == sorted(found)
    assert {made.name, *(f"roles/{name}" for name in PREDEFINED)} <= set(found)
    assert set(found["roles/admin"].permissions) == PERMISSIONS
    assert found["roles/viewer"].predefined
    for call, request in (
        (access.UpdateRole, pb.UpdateRoleRequest(role=pb.Role(name="roles/viewer", description="x"))),
        (access.DeleteRole, pb.DeleteRoleRequest(name="roles/viewer")),
    ):
        assert refused(call, request).reason == "IMMUTABLE_FIELD"
    taken = pb.CreateRoleRequest(role_id="viewer", role=pb.Role(permissions=["models.get"]))
    assert refused(access.CreateRole, taken).reason == "RESOURCE_EXISTS"
    unknown = pb.CreateRoleRequest(role_id="odd", role=pb.Role(permissions=["models.fly"]))
    assert refused(access.CreateRole, unknown).reason == "INVALID_FIELD"


def test_a_binding_is_made_read_changed_and_removed(office, access, project):
    condition = pb.Condition(stages=["staging"], read_only_tags={"promoted": "true"})
    made = office.bind("deployer", project, "user:bob", "user:ada", "user:bob", condition=condition, description="why")
    assert made.name.startswith(f"{project}/roleBindings/")
    assert (list(made.members), made.condition, made.creator) == (["user:ada", "user:bob"], condition, "user:admin")
    assert access.GetRoleBinding(pb.GetRoleBindingRequest(name=made.name)) == made
    changed = access.UpdateRoleBinding(
        pb.UpdateRoleBindingRequest(
            role_binding=pb.RoleBinding(name=made.name, members=["group:corp/ml team"]),
            update_mask=FieldMask(paths=["members", "condition"]),
        )
    )
    assert (list(changed.members), changed.HasField("condition"), changed.description) == (
        ["group:corp/ml team"],
        False,
        "why",
    )
    role_change = pb.UpdateRoleBindingRequest(
        role_binding=pb.RoleBinding(name=made.name, role="roles/admin"), update_mask=FieldMask(paths=["role"])
    )
    assert refused(access.UpdateRoleBinding, role_change).reason == "IMMUTABLE_FIELD"
    named = pb.CreateRoleBindingRequest(
        parent=project, role_binding_id="mine", role_binding=pb.RoleBinding(role="roles/viewer", members=["user:a"])
    )
    access.CreateRoleBinding(named)
    assert refused(access.CreateRoleBinding, named).reason == "RESOURCE_EXISTS"
    listed = [
        each.name for each in pages(access.ListRoleBindings, pb.ListRoleBindingsRequest(parent=project, page_size=1))
    ]
    assert listed == sorted([made.name, f"{project}/roleBindings/mine"])
    assert office.unbind(made.name).name == made.name
    gone = refused(access.GetRoleBinding, pb.GetRoleBindingRequest(name=made.name))
    assert (gone.code, gone.reason) == ("NOT_FOUND", "ROLE_BINDING_NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"role": "roles/viewer", "members": []}, "role_binding.members"),
        ({"role": "roles/viewer", "members": ["ada"]}, "role_binding.members[0]"),
        ({"role": "roles/viewer", "members": ["group:nobody"]}, "role_binding.members[0]"),
        ({"role": "roles/viewer", "members": ["user:a\nb"]}, "role_binding.members[0]"),
        ({"role": "viewer", "members": ["user:a"]}, "role_binding.role"),
        ({"members": ["user:a"]}, "role_binding.role"),
        ({"role": "roles/viewer", "members": [f"user:{at}" for at in range(257)]}, "role_binding.members"),
    ],
)
def test_a_binding_that_means_nothing_is_refused(access, project, fields, path):
    request = pb.CreateRoleBindingRequest(parent=project, role_binding=pb.RoleBinding(**fields))
    assert refused(access.CreateRoleBinding, request).fields == (path,)


def test_a_binding_needs_its_role_and_its_scope(access, project):
    binding = pb.RoleBinding(role="roles/none-such", members=["user:a"])
    for parent, reason in ((project, "ROLE_NOT_FOUND"), (f"{project}/models/no", "MODEL_NOT_FOUND")):
        assert (
            refused(access.CreateRoleBinding, pb.CreateRoleBindingRequest(parent=parent, role_binding=binding)).reason
            == reason
        )


def test_somebody_always_administers_the_registry(office, access):
    name = "roleBindings/admin"
    account = office.somebody()
    for call, request in (
        (access.DeleteRoleBinding, pb.DeleteRoleBindingRequest(name=name)),
        (
            access.UpdateRoleBinding,
            pb.UpdateRoleBindingRequest(
                role_binding=pb.RoleBinding(name=name, condition=pb.Condition(stages=["staging"]))
            ),
        ),
        (
            access.UpdateRoleBinding,
            pb.UpdateRoleBindingRequest(role_binding=pb.RoleBinding(name=name, members=["serviceAccount:no-such"])),
        ),
    ):
        refusal = refused(call, request)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "LAST_ADMIN")

    both = pb.RoleBinding(name=name, members=[account.principal])
    access.UpdateRoleBinding(pb.UpdateRoleBindingRequest(role_binding=both))
    api = office.server.api(account.secret).access
    disabled = pb.ServiceAccount(name=account.name, disabled=True)
    for call, request in (
        (api.UpdateServiceAccount, pb.UpdateServiceAccountRequest(service_account=disabled)),
        (api.DeleteServiceAccount, pb.DeleteServiceAccountRequest(name=account.name)),
    ):
        assert refused(call, request).reason == "LAST_ADMIN"
    back = pb.RoleBinding(name=name, members=["user:admin"])
    api.UpdateRoleBinding(pb.UpdateRoleBindingRequest(role_binding=back))
    assert access.GetCaller(pb.GetCallerRequest()).principal == "user:admin"


def test_a_service_account_is_of_a_project_or_of_the_registry(access, project):
    for parent, principal in (
        (project, f"serviceAccount:{project.removeprefix('projects/')}/"),
        ("", "serviceAccount:"),
    ):
        account_id = new_id("sa")
        made = access.CreateServiceAccount(
            pb.CreateServiceAccountRequest(
                parent=parent,
                service_account_id=account_id,
                service_account=pb.ServiceAccount(display_name="CI", description="d"),
            )
        )
        assert (made.principal, made.display_name) == (f"{principal}{account_id}", "CI")
        assert access.GetServiceAccount(pb.GetServiceAccountRequest(name=made.name)) == made
        listed = access.ListServiceAccounts(pb.ListServiceAccountsRequest(parent=parent, page_size=1000))
        assert made in listed.service_accounts
        changed = access.UpdateServiceAccount(
            pb.UpdateServiceAccountRequest(
                service_account=pb.ServiceAccount(name=made.name, certificate_names=[f"dns:{account_id}.example"])
            )
        )
        assert list(changed.certificate_names) == [f"dns:{account_id}.example"]
        other = pb.CreateServiceAccountRequest(
            service_account_id=new_id("sa"),
            service_account=pb.ServiceAccount(certificate_names=changed.certificate_names),
        )
        assert refused(access.CreateServiceAccount, other).reason == "RESOURCE_EXISTS"


def test_a_deleted_account_leaves_its_bindings_loses_its_tokens_and_keeps_its_id(office, server, access, project):
    who = office.somebody()
    shared = office.bind("viewer", project, who.principal, "user:ada")
    alone = office.bind("viewer", project, who.principal)

    deleted = access.DeleteServiceAccount(pb.DeleteServiceAccountRequest(name=who.name))

    assert deleted.HasField("delete_time")
    assert access.DeleteServiceAccount(pb.DeleteServiceAccountRequest(name=who.name)) == deleted
    assert list(access.GetRoleBinding(pb.GetRoleBindingRequest(name=shared.name)).members) == ["user:ada"]
    assert refused(access.GetRoleBinding, pb.GetRoleBindingRequest(name=alone.name)).code == "NOT_FOUND"
    [token] = access.ListTokens(pb.ListTokensRequest(principal=who.principal)).tokens
    assert token.HasField("revoke_time")
    assert refused(who.at(server).access.GetCaller, pb.GetCallerRequest()).code == "UNAUTHENTICATED"
    again = pb.CreateServiceAccountRequest(service_account_id=who.name.rpartition("/")[2])
    refusal = refused(access.CreateServiceAccount, again)
    assert (refusal.reason, refusal.facts["softDeleted"]) == ("RESOURCE_EXISTS", "true")
    assert who.name not in {
        each.name for each in pages(access.ListServiceAccounts, pb.ListServiceAccountsRequest(page_size=1000))
    }
    for call, request in (
        (access.IssueToken, pb.IssueTokenRequest(principal=who.principal)),
        (
            access.UpdateServiceAccount,
            pb.UpdateServiceAccountRequest(service_account=pb.ServiceAccount(name=who.name, description="x")),
        ),
    ):
        assert refused(call, request).reason == "SERVICE_ACCOUNT_NOT_FOUND"


def test_a_disabled_account_is_turned_away_until_it_is_enabled(office, server, access, project):
    who = office.bound("viewer", project)
    api = who.at(server).projects
    get = projects_pb2.GetProjectRequest(name=project)
    assert api.GetProject(get).name == project
    for disabled in (True, False):
        access.UpdateServiceAccount(
            pb.UpdateServiceAccountRequest(
                service_account=pb.ServiceAccount(name=who.name, disabled=disabled),
                update_mask=FieldMask(paths=["disabled"]),
            )
        )
        if disabled:
            refusal = refused(api.GetProject, get)
            assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "PRINCIPAL_DISABLED")
    assert api.GetProject(get).name == project


def test_the_text_of_a_token_is_told_once_and_kept_nowhere(office, server, access):
    who, asked = office.somebody(), request_id()
    dry = office.issue(who.principal, validate_only=True)
    assert dry.secret == ""
    first = office.issue(who.principal, request_id=asked, description="ci")
    again = office.issue(who.principal, request_id=asked, description="ci")
    assert (again.token, again.secret) == (first.token, "")
    text = parse_token(first.secret)
    assert first.token.name == f"tokens/{text.id}"
    assert server.api(first.secret).access.GetCaller(pb.GetCallerRequest()).principal == who.principal
    for table in ("event", "audit", "idempotency", "token"):
        for row in stored(server, f"SELECT * FROM {table}"):  # noqa: S608 - tables of ours
            raw = b"".join(bytes(cell) if isinstance(cell, (bytes, memoryview)) else str(cell).encode() for cell in row)
            assert text.secret.encode() not in raw
            assert table == "token" or text.hash() not in raw
            assert table == "token" or "secret_hash" not in str(row)
    assert text.secret not in server.log


def test_a_token_ends_in_90_days_or_when_asked_and_never_later_than_in_366(office, server, access):
    who = office.somebody()
    life = who.token.expire_time.ToDatetime(UTC) - who.token.create_time.ToDatetime(UTC)
    assert life == timedelta(days=90)

    def until_(days):
        end = Timestamp()
        end.FromDatetime(datetime.now(UTC) + timedelta(days=days))
        return end

    for days in (-1, 367):
        request = pb.IssueTokenRequest(principal=who.principal, expire_time=until_(days))
        assert refused(access.IssueToken, request).fields == ("expire_time",)
    assert office.issue(who.principal, expire_time=until_(365)).token.HasField("expire_time")
    short = Timestamp()
    short.FromDatetime(datetime.now(UTC) + timedelta(seconds=3))
    soon = office.issue(who.principal, expire_time=short)
    api = server.api(soon.secret).access
    until(lambda: _reason(api) == "TOKEN_EXPIRED", 20)
    for principal in ("user:corp/ada", "group:corp/x", "authenticated", "user:"):
        assert refused(access.IssueToken, pb.IssueTokenRequest(principal=principal)).reason == "INVALID_FIELD"


def _reason(api):
    import grpc

    from tests.kit.refusals import refusal_of

    try:
        api.GetCaller(pb.GetCallerRequest())
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return ""


def test_tokens_are_listed_newest_first_and_revoked_by_whoever_may(office, server, access, project):
    who, stranger = office.somebody(), office.somebody()
    issued = [who.token, *(office.issue(who.principal).token for _ in range(3))]
    mine = who.at(server).access
    names = [token.name for token in pages(mine.ListTokens, pb.ListTokensRequest(page_size=2))]
    assert names == [token.name for token in reversed(issued)]
    assert list(mine.ListTokens(pb.ListTokensRequest(principal=who.principal)).tokens)
    theirs = stranger.at(server).access
    assert refused(theirs.ListTokens, pb.ListTokensRequest(principal=who.principal)).code == "PERMISSION_DENIED"
    for name in (issued[1].name, "tokens/000000000000"):
        refusal = refused(theirs.RevokeToken, pb.RevokeTokenRequest(name=name))
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "TOKEN_NOT_FOUND")
    revoked = mine.RevokeToken(pb.RevokeTokenRequest(name=issued[1].name))
    assert revoked.HasField("revoke_time")
    assert access.RevokeToken(pb.RevokeTokenRequest(name=issued[1].name)) == revoked
    assert mine.RevokeToken(pb.RevokeTokenRequest(name=who.token.name)).HasField("revoke_time")
    assert refused(mine.GetCaller, pb.GetCallerRequest()).reason == "TOKEN_REVOKED"


def test_a_change_is_in_force_for_the_very_next_call_also_on_the_hot_path(office, server, project):
    catalogue = Catalogue(office.api, project.removeprefix("projects/"))
    model = catalogue.model()
    catalogue.bring(catalogue.ready(model).name, "production")
    who = office.somebody()
    mine = catalogue.on(who.at(server))
    for _ in range(5):
        assert refused(mine.resolve, model, stage="production").reason == "PROJECT_NOT_FOUND"
        binding = office.bind("viewer", model, who.principal)
        assert [mine.resolve(model, stage="production").version_number for _ in range(3)] == [1, 1, 1]
        office.unbind(binding.name)


def test_what_was_bound_in_a_project_that_is_purged_is_not_bound_in_the_next_of_that_name(office, server, access):
    name = Catalogue(office.api).parent
    who = office.somebody()
    office.bind("admin", name, who.principal)
    account = access.CreateServiceAccount(pb.CreateServiceAccountRequest(parent=name, service_account_id="bot"))
    inside = office.issue(account.principal)
    api = who.at(server).projects
    get = projects_pb2.GetProjectRequest(name=name)
    assert api.GetProject(get).name == name

    office.api.projects.DeleteProject(projects_pb2.DeleteProjectRequest(name=name))
    office.api.projects.PurgeProject(projects_pb2.PurgeProjectRequest(name=name))
    office.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=name.removeprefix("projects/")))

    assert refused(api.GetProject, get).reason == "PROJECT_NOT_FOUND"
    assert refused(server.api(inside.secret).projects.GetProject, get).code == "UNAUTHENTICATED"
    assert list(access.ListRoleBindings(pb.ListRoleBindingsRequest(parent=name)).role_bindings) == []


def test_copying_takes_reading_there_and_creating_here(office, server, access):
    source, target = Catalogue(office.api), Catalogue(office.api)
    version = source.ready(source.model())
    model = target.model()
    request = versions_pb2.CopyVersionRequest(parent=model, source=version.name)
    who = office.bound("contributor", target.parent)
    api = who.at(server).models
    assert refused(api.CopyVersion, request).reason == "PROJECT_NOT_FOUND"
    lister = role(access, "versions.get", "models.get")
    office.bind(lister.name.removeprefix("roles/"), source.parent, who.principal)
    refusal = refused(api.CopyVersion, request)
    assert (refusal.reason, refusal.facts["permission"]) == ("PERMISSION_MISSING", "artifacts.read")
    office.bind("viewer", source.parent, who.principal)
    assert api.CopyVersion(request).copied_from == version.name
    back = versions_pb2.CopyVersionRequest(parent=version.name.partition("/versions")[0], source=f"{model}/versions/1")
    assert refused(api.CopyVersion, back).facts["permission"] == "versions.create"


def test_quotas_are_set_by_whoever_may_on_the_registry(office, server, project):
    api = office.bound("admin", project).at(server).projects
    limited = projects_pb2.Project(name=project, quotas=projects_pb2.Quotas(max_models=3))
    refusal = refused(api.UpdateProject, projects_pb2.UpdateProjectRequest(project=limited))
    assert (refusal.code, refusal.facts["permission"]) == ("PERMISSION_DENIED", "projects.setQuotas")
    office.api.projects.UpdateProject(projects_pb2.UpdateProjectRequest(project=limited))


def test_replays_of_access_mutations_give_the_first_answer(access, project):
    asked = request_id()
    request = pb.CreateRoleBindingRequest(
        parent=project,
        role_binding=pb.RoleBinding(role="roles/viewer", members=[f"user:{uuid.uuid4()}"]),
        request_id=asked,
    )
    assert access.CreateRoleBinding(request) == access.CreateRoleBinding(request)
    dry = pb.CreateRoleRequest(role_id=new_id("dry"), role=pb.Role(permissions=["models.get"]), validate_only=True)
    made = access.CreateRole(dry)
    assert refused(access.GetRole, pb.GetRoleRequest(name=made.name)).reason == "ROLE_NOT_FOUND"
