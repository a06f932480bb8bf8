"""The mutations of AccessService: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import access_pb2
from tests.kit.catalogue import Catalogue, new_id

VIEWER = access_pb2.RoleBinding(role="roles/viewer", members=["user:ada"])
READING = access_pb2.Role(permissions=["models.get"])


def _role(catalogue: Catalogue) -> str:
    request = access_pb2.CreateRoleRequest(role_id=new_id("role"), role=READING)
    return catalogue.api.access.CreateRole(request).name


def _binding(catalogue: Catalogue) -> str:
    request = access_pb2.CreateRoleBindingRequest(parent=catalogue.parent, role_binding=VIEWER)
    return catalogue.api.access.CreateRoleBinding(request).name


def _account(catalogue: Catalogue) -> access_pb2.ServiceAccount:
    request = access_pb2.CreateServiceAccountRequest(parent=catalogue.parent, service_account_id=new_id("bot"))
    return catalogue.api.access.CreateServiceAccount(request)


def create_role(_: Catalogue) -> Any:
    return access_pb2.CreateRoleRequest(role_id=new_id("role"), role=READING), {"role_id": new_id("role")}


def update_role(catalogue: Catalogue) -> Any:
    name = _role(catalogue)
    request = access_pb2.UpdateRoleRequest(role=access_pb2.Role(name=name, description="new"))
    return request, {"role": access_pb2.Role(name=name, description="other")}


def delete_role(catalogue: Catalogue) -> Any:
    return access_pb2.DeleteRoleRequest(name=_role(catalogue)), {"etag": "other"}


def create_binding(catalogue: Catalogue) -> Any:
    request = access_pb2.CreateRoleBindingRequest(parent=catalogue.parent, role_binding=VIEWER)
    return request, {"role_binding_id": "other"}


def update_binding(catalogue: Catalogue) -> Any:
    name = _binding(catalogue)
    request = access_pb2.UpdateRoleBindingRequest(role_binding=access_pb2.RoleBinding(name=name, description="new"))
    return request, {"role_binding": access_pb2.RoleBinding(name=name, description="other")}


def delete_binding(catalogue: Catalogue) -> Any:
    return access_pb2.DeleteRoleBindingRequest(name=_binding(catalogue)), {"etag": "other"}


def create_account(catalogue: Catalogue) -> Any:
    request = access_pb2.CreateServiceAccountRequest(parent=catalogue.parent, service_account_id=new_id("bot"))
    return request, {"service_account_id": new_id("bot")}


def update_account(catalogue: Catalogue) -> Any:
    name = _account(catalogue).name
    account = access_pb2.ServiceAccount(name=name, description="new")
    other = access_pb2.ServiceAccount(name=name, description="other")
    return access_pb2.UpdateServiceAccountRequest(service_account=account), {"service_account": other}


def delete_account(catalogue: Catalogue) -> Any:
    return access_pb2.DeleteServiceAccountRequest(name=_account(catalogue).name), {"etag": "other"}


def issue_token(catalogue: Catalogue) -> Any:
    request = access_pb2.IssueTokenRequest(principal=_account(catalogue).principal)
    return request, {"description": "other"}


def revoke_token(catalogue: Catalogue) -> Any:
    issued = catalogue.api.access.IssueToken(access_pb2.IssueTokenRequest(principal=_account(catalogue).principal))
    return access_pb2.RevokeTokenRequest(name=issued.token.name), {"name": "tokens/000000000000"}


ACCESS_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "AccessService.CreateRole": create_role,
    "AccessService.UpdateRole": update_role,
    "AccessService.DeleteRole": delete_role,
    "AccessService.CreateRoleBinding": create_binding,
    "AccessService.UpdateRoleBinding": update_binding,
    "AccessService.DeleteRoleBinding": delete_binding,
    "AccessService.CreateServiceAccount": create_account,
    "AccessService.UpdateServiceAccount": update_account,
    "AccessService.DeleteServiceAccount": delete_account,
    "AccessService.IssueToken": issue_token,
    "AccessService.RevokeToken": revoke_token,
}
ACCESS_READS = {
    "AccessService.GetCaller",
    "AccessService.GetRole",
    "AccessService.GetRoleBinding",
    "AccessService.GetServiceAccount",
    "AccessService.ListRoleBindings",
    "AccessService.ListRoles",
    "AccessService.ListServiceAccounts",
    "AccessService.ListTokens",
    "AccessService.TestPermissions",
}
