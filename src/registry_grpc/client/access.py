"""Who may do what: the caller, roles and their bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message
from registry_grpc.client.session import Session
from registry_grpc.v1 import access_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REGISTRY = ""
"""As `scope`: the whole registry."""


class AccessCalls(Session):
    """Ask and decide what callers may do. Every method raises RegistryError.

    `scope` is the resource name of a project or a model, or `REGISTRY`; left out it is the project of this client.
    """

    def caller(self) -> access_pb2.Caller:
        """Who this client is to the registry, and the bindings in force for it."""
        return self._connection.read(self._connection.stubs.access.GetCaller, access_pb2.GetCallerRequest())

    def test_permissions(self, *permissions: str, resource: str | None = None, stage: str = "") -> list[str]:
        """Those of `permissions` that the caller has on `resource`: a resource name, `REGISTRY`, or the project."""
        request = access_pb2.TestPermissionsRequest(
            resource=self._scope(resource), permissions=permissions, stage=stage
        )
        answer = self._connection.read(self._connection.stubs.access.TestPermissions, request)
        return list(answer.permissions)

    def create_role(
        self, role_id: str, permissions: Iterable[str], *, display_name: str = "", description: str = ""
    ) -> access_pb2.Role:
        """The new custom role, e.g. `create_role("releaser", ["stages.promote", "stages.get"])`."""
        role = access_pb2.Role(permissions=permissions, display_name=display_name, description=description)
        request = access_pb2.CreateRoleRequest(role_id=role_id, role=role)
        return self._connection.write(self._connection.stubs.access.CreateRole, request)

    def get_role(self, role: str) -> access_pb2.Role:
        """One role, predefined or custom."""
        request = access_pb2.GetRoleRequest(name=role_name(role))
        return self._connection.read(self._connection.stubs.access.GetRole, request)

    def list_roles(self, *, page_size: int = 0) -> Iterable[access_pb2.Role]:
        """Roles, predefined and custom, by id; fetched page by page."""

        def fetch(token: str) -> access_pb2.ListRolesResponse:
            request = access_pb2.ListRolesRequest(page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.access.ListRoles, request)

        return Pages[access_pb2.Role](fetch, "roles")

    def update_role(self, role: str, *, etag: str = "", **fields: Any) -> access_pb2.Role:  # noqa: ANN401 -- checked by field
        """The changed custom role; `fields` are permissions, display_name, description."""
        changed = message(access_pb2.Role, fields, "role")
        changed.name = role_name(role)
        changed.etag = etag
        request = access_pb2.UpdateRoleRequest(role=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.access.UpdateRole, request)

    def delete_role(self, role: str, *, etag: str = "") -> access_pb2.Role:
        """The custom role that was; refused while it is bound."""
        request = access_pb2.DeleteRoleRequest(name=role_name(role), etag=etag)
        return self._connection.write(self._connection.stubs.access.DeleteRole, request)

    def create_role_binding(
        self,
        role: str,
        members: Iterable[str],
        *,
        scope: str | None = None,
        binding_id: str = "",
        stages: Iterable[str] = (),
        read_only_tags: Mapping[str, str] | None = None,
        description: str = "",
    ) -> access_pb2.RoleBinding:
        """The new binding: `members` have `role` on `scope` and everything below it.

        With `stages` it permits moving versions only to these; resources that carry one of `read_only_tags` can be
        read and not changed.
        """
        binding = access_pb2.RoleBinding(role=role_name(role), members=members, description=description)
        condition = access_pb2.Condition(stages=stages, read_only_tags=read_only_tags or {})
        if condition.ByteSize():
            binding.condition.CopyFrom(condition)
        request = access_pb2.CreateRoleBindingRequest(
            parent=self._scope(scope), role_binding_id=binding_id, role_binding=binding
        )
        return self._connection.write(self._connection.stubs.access.CreateRoleBinding, request)

    def get_role_binding(self, name: str) -> access_pb2.RoleBinding:
        """One binding, by its resource name."""
        request = access_pb2.GetRoleBindingRequest(name=name)
        return self._connection.read(self._connection.stubs.access.GetRoleBinding, request)

    def list_role_bindings(self, scope: str | None = None, *, page_size: int = 0) -> Iterable[access_pb2.RoleBinding]:
        """The bindings of exactly that scope, by id; fetched page by page."""
        parent = self._scope(scope)

        def fetch(token: str) -> access_pb2.ListRoleBindingsResponse:
            request = access_pb2.ListRoleBindingsRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.access.ListRoleBindings, request)

        return Pages[access_pb2.RoleBinding](fetch, "role_bindings")

    def update_role_binding(self, name: str, *, etag: str = "", **fields: Any) -> access_pb2.RoleBinding:  # noqa: ANN401 -- checked by field
        """The changed binding; `fields` are members, condition, description."""
        changed = message(access_pb2.RoleBinding, fields, "role_binding")
        changed.name = name
        changed.etag = etag
        request = access_pb2.UpdateRoleBindingRequest(role_binding=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.access.UpdateRoleBinding, request)

    def delete_role_binding(self, name: str, *, etag: str = "") -> access_pb2.RoleBinding:
        """The binding that was. What it permitted ends within 30 s everywhere, open streams included."""
        request = access_pb2.DeleteRoleBindingRequest(name=name, etag=etag)
        return self._connection.write(self._connection.stubs.access.DeleteRoleBinding, request)

    def _scope(self, scope: str | None) -> str:
        return self.project_name() if scope is None else scope


def role_name(role: str) -> str:
    """`roles/{role}` of a role given with or without the `roles/`."""
    return role if role.startswith("roles/") else f"roles/{role}"
