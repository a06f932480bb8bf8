"""P10: every RPC by every role, in one's own project, in another one, and in one that does not exist."""

import itertools

import grpc
import pytest

from registry_grpc.auth.permissions import RULES, Where
from registry_grpc.domain.roles import PREDEFINED, REGISTRY_ONLY
from registry_grpc.v1 import models_pb2, projects_pb2, versions_pb2
from tests.kit.access import Office
from tests.kit.refusals import refusal_of
from tests.kit.server import running
from tests.promises.access.requests import Place, example, make, methods

METHODS = methods()
ROLES = ("nobody", *PREDEFINED)
SCOPES = ("registry", "project", "model")
HIDDEN = ("NOT_FOUND", "PROJECT_NOT_FOUND")
DENIED = ("PERMISSION_DENIED", "PERMISSION_MISSING")
REVOKE = "/registry_grpc.v1.AccessService/RevokeToken"


class World:
    """Two projects with something in them, one that was never made, and a caller for every role and scope."""

    def __init__(self, server):
        self.server = server
        self.office = Office(server)
        self.own, self.foreign = self._made("own"), self._made("foreign")
        self.absent = Place("absent")
        self._callers = {}

    def _made(self, project):
        api, parent = self.office.api, f"projects/{project}"
        api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project))
        api.models.CreateModel(models_pb2.CreateModelRequest(parent=parent, model_id="m"))
        api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=f"{parent}/models/m"))
        from registry_grpc.v1 import access_pb2

        account = access_pb2.CreateServiceAccountRequest(parent=parent, service_account_id="there")
        issued = self.office.issue(api.access.CreateServiceAccount(account).principal)
        return Place(project, issued.token.name)

    def caller(self, role, scope):
        """A channel of somebody with that role on the own project, its model, or the registry."""
        key = (role, scope if role != "nobody" else "")
        if key not in self._callers:
            who = self.office.somebody()
            if role != "nobody":
                parent = {"registry": "", "project": self.own.name, "model": self.own.model}[scope]
                self.office.bind(role, parent, who.principal)
            self._callers[key] = self.server.channel(who.secret)
        return self._callers[key]


@pytest.fixture(scope="module")
def world():
    with running() as server:
        yield World(server)


def ending(channel, method, at):
    """Code and reason, with the text in which the project's own name does not show."""
    try:
        make(channel, method, example(method, at))
    except grpc.RpcError as error:
        found = refusal_of(error)
        return (found.code, found.reason), (error.details() or "").replace(at.project, "…")
    return ("OK", ""), ""


def may(role, scope, need):
    """Whether that role gives what the table asks for in the own project, on its model."""
    if need.where is Where.CALLER:
        return True
    permission, given = need.permission, role in PREDEFINED and need.permission in PREDEFINED[role].permissions
    if need.where is Where.REGISTRY:
        return given and scope == "registry"
    if not given or (scope != "registry" and permission in REGISTRY_ONLY):
        return False
    return scope != "model" or need.where in {Where.WITHIN, Where.ANYWHERE} or _is_of_model(need)


def _is_of_model(need):
    """Whether the example's resource lies in the model: everything but projects, their bindings and their accounts."""
    kind = need.permission.partition(".")[0]
    return kind in {
        "versions",
        "aliases",
        "artifacts",
        "stages",
        "uploads",
        "deployments",
        "consumers",
        "signatures",
        "evidence",
        "promotionRequests",
    } or (kind == "models" and need.permission != "models.create")


def expected(role, scope, method, place, world):
    """What must come of the call: a pair to be refused with, or None for whatever the servicer makes of it."""
    rule = RULES[method.path]
    reaches = role != "nobody" and (scope == "registry" or place is world.own)
    if method.path == REVOKE:
        allowed = reaches and scope != "model" and "tokens.revoke" in PREDEFINED[role].permissions
        if allowed or place is world.absent:
            return None if allowed else ("NOT_FOUND", "TOKEN_NOT_FOUND")
        return DENIED if reaches else ("NOT_FOUND", "TOKEN_NOT_FOUND")
    for need in rule.needs:
        about_project = need.where in {Where.RESOURCE, Where.WITHIN, Where.PRINCIPAL, Where.OWN}
        if about_project and not reaches:
            return HIDDEN
        if not may(role, scope, need):
            return DENIED
    return None


@pytest.mark.promise("P10", "matrix")
@pytest.mark.parametrize(
    ("role", "scope"), [(r, s) for r, s in itertools.product(ROLES, SCOPES) if r != "nobody" or s == "project"]
)
def test_every_call_ends_as_the_role_says(world, role, scope):
    channel = world.caller(role, scope)
    wrong = []
    for method, place in itertools.product(METHODS, (world.own, world.foreign, world.absent)):
        wanted = expected(role, scope, method, place, world)
        came, text = ending(channel, method, place)
        permitted = came not in {DENIED, HIDDEN} and came[0] not in {"UNAUTHENTICATED", "INTERNAL", "INVALID_ARGUMENT"}
        if place is world.absent and scope == "registry":
            permitted = permitted or came == HIDDEN  # the servicer itself says so
        if (wanted is None and not permitted) or (wanted is not None and came != wanted):
            wrong.append(f"{method.path} in {place.project}: {came} {text!r}, wanted {wanted or 'permitted'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.promise("P10", "foreign")
@pytest.mark.parametrize("role", ROLES)
def test_what_lies_in_a_foreign_project_looks_like_what_does_not_exist(world, role):
    channel = world.caller(role, "project")
    for method in METHODS:
        if method.path == REVOKE:
            continue  # has no project in its name
        assert ending(channel, method, world.foreign) == ending(channel, method, world.absent), method.path


def test_every_row_of_the_table_is_a_method_that_is_served():
    ours = {path for path in RULES if path.startswith("/registry_grpc.")}
    assert ours == {method.path for method in METHODS}
