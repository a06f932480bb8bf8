"""AccessService: decode, call, encode. Accounts and tokens are in `accounts.py`, which this servicer inherits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import RoleBindingName, RoleName, Scope, place_of
from registry_grpc.domain.roles import STAGE_MOVES
from registry_grpc.services.accounts import AccountMethods
from registry_grpc.services.codec.access import (
    binding_changes,
    binding_to_wire,
    caller_to_wire,
    role_changes,
    role_to_wire,
)
from registry_grpc.services.context import call_context
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.v1 import access_pb2, access_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.auth.view import AccessView
    from registry_grpc.domain.rights import Rights
    from registry_grpc.services.accounts import AccountVerbs
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.access import bindings, roles


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessVerbs:
    """The use cases of roles and bindings."""

    create_role: roles.CreateRole
    get_role: roles.GetRole
    list_roles: roles.ListRoles
    update_role: roles.UpdateRole
    delete_role: roles.DeleteRole
    create_binding: bindings.CreateRoleBinding
    get_binding: bindings.GetRoleBinding
    list_bindings: bindings.ListRoleBindings
    update_binding: bindings.UpdateRoleBinding
    delete_binding: bindings.DeleteRoleBinding


class AccessServicer(AccountMethods, access_pb2_grpc.AccessServiceServicer):
    """Who may do what."""

    def __init__(self, edge: Edge, pages: Pages, view: AccessView, verbs: AccessVerbs, accounts: AccountVerbs) -> None:
        """Made by the composition root."""
        super().__init__(edge, pages, accounts)
        self._view = view
        self._verbs = verbs

    async def GetCaller(self, request: access_pb2.GetCallerRequest, context: Context) -> access_pb2.Caller:
        call = call_context()
        call.revision = self._edge.feed.revision
        return caller_to_wire(call.principal, self._view.bindings(call.principal))

    async def TestPermissions(
        self, request: access_pb2.TestPermissionsRequest, context: Context
    ) -> access_pb2.TestPermissionsResponse:
        call = call_context()
        call.revision = self._edge.feed.revision
        rights = call.rights
        held = [each for each in request.permissions if _has(rights, each, request.resource, request.stage)]
        return access_pb2.TestPermissionsResponse(permissions=held)

    async def CreateRole(self, request: access_pb2.CreateRoleRequest, context: Context) -> access_pb2.Role:
        name = RoleName(request.role_id)
        fields = role_changes(request.role, fields_to_create(request.role))
        return await self._edge.mutate(request, lambda call: self._verbs.create_role(call, name, fields), role_to_wire)

    async def GetRole(self, request: access_pb2.GetRoleRequest, context: Context) -> access_pb2.Role:
        name = RoleName.parse(request.name)
        return role_to_wire(await self._edge.read(lambda: self._verbs.get_role(name)))

    async def ListRoles(self, request: access_pb2.ListRolesRequest, context: Context) -> access_pb2.ListRolesResponse:
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.list_roles(after=after, limit=page.limit))
        roles, token = page.close(found, lambda role: (role.name.role,), role_to_wire)
        return access_pb2.ListRolesResponse(roles=roles, next_page_token=token)

    async def UpdateRole(self, request: access_pb2.UpdateRoleRequest, context: Context) -> access_pb2.Role:
        name = RoleName.parse(request.role.name, "role.name")
        changes = role_changes(request.role, fields_to_update(request.role, request.update_mask))
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.update_role(call, name, request.role.etag, changes),
            role_to_wire,
        )

    async def DeleteRole(self, request: access_pb2.DeleteRoleRequest, context: Context) -> access_pb2.Role:
        name = RoleName.parse(request.name)
        return await self._edge.mutate(
            request, lambda call: self._verbs.delete_role(call, name, request.etag), role_to_wire
        )

    async def CreateRoleBinding(
        self, request: access_pb2.CreateRoleBindingRequest, context: Context
    ) -> access_pb2.RoleBinding:
        scope = Scope.parse(request.parent)
        fields = binding_changes(request.role_binding, fields_to_create(request.role_binding))
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.create_binding(call, scope, request.role_binding_id, fields),
            binding_to_wire,
        )

    async def GetRoleBinding(
        self, request: access_pb2.GetRoleBindingRequest, context: Context
    ) -> access_pb2.RoleBinding:
        name = RoleBindingName.parse(request.name)
        return binding_to_wire(await self._edge.read(lambda: self._verbs.get_binding(name)))

    async def ListRoleBindings(
        self, request: access_pb2.ListRoleBindingsRequest, context: Context
    ) -> access_pb2.ListRoleBindingsResponse:
        scope = Scope.parse(request.parent)
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.list_bindings(scope, after=after, limit=page.limit))
        bindings, token = page.close(found, lambda binding: (binding.name.id,), binding_to_wire)
        return access_pb2.ListRoleBindingsResponse(
            role_bindings=bindings,
            next_page_token=token,
        )

    async def UpdateRoleBinding(
        self, request: access_pb2.UpdateRoleBindingRequest, context: Context
    ) -> access_pb2.RoleBinding:
        name = RoleBindingName.parse(request.role_binding.name, "role_binding.name")
        changes = binding_changes(request.role_binding, fields_to_update(request.role_binding, request.update_mask))
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.update_binding(call, name, request.role_binding.etag, changes),
            binding_to_wire,
        )

    async def DeleteRoleBinding(
        self, request: access_pb2.DeleteRoleBindingRequest, context: Context
    ) -> access_pb2.RoleBinding:
        name = RoleBindingName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.delete_binding(call, name, request.etag),
            binding_to_wire,
        )


def _has(rights: Rights, permission: str, resource: str, stage: str) -> bool:
    found = rights.find(permission, *place_of(resource))
    if found is None:
        return False
    if not (found.conditions and stage and permission in STAGE_MOVES):
        return True
    return any(condition.allows((stage,), ()) for condition in found.conditions)
