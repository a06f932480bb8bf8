"""Bindings of roles: create, read, change, delete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.access import MAX_MEMBERS, RoleBinding
from registry_grpc.domain.access_names import RoleBindingName
from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.usecases.access.checks import (
    hold_scope,
    known_binding,
    known_role,
    require_admin_left,
    require_scope,
)
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.access_names import Scope
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class CreateRoleBinding:
    """Gives members a role on a scope."""

    store: Store
    ids: Ids

    def __call__(
        self, call: Call[RoleBinding], scope: Scope, binding_id: str, fields: Mapping[str, Any]
    ) -> Committed[RoleBinding]:
        """An id is made up when `binding_id` is empty.

        Raises: ROLE_NOT_FOUND, PROJECT_NOT_FOUND, MODEL_NOT_FOUND, RESOURCE_EXISTS, INVALID_FIELD.
        """
        uid = self.ids.uuid()
        name = RoleBindingName(scope.project, scope.model, binding_id or uid)
        members = checked(fields.get("members", ()))

        def work(unit: Unit) -> RoleBinding:
            hold_scope(unit, scope)
            known_role(unit, fields["role"])
            revision = unit.advance(str(name))
            binding = RoleBinding(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "members": members,
                    "creator": call.principal.name,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.access.bindings.insert(binding)
            unit.record(Action.CREATED, binding)
            return binding

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetRoleBinding:
    """One binding."""

    store: Store

    def __call__(self, name: RoleBindingName) -> RoleBinding:
        """Raises: ROLE_BINDING_NOT_FOUND, PROJECT_NOT_FOUND, MODEL_NOT_FOUND."""

        def work(reader: Reader) -> RoleBinding:
            require_scope(reader, name.scope)
            return known_binding(reader, name)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListRoleBindings:
    """Bindings of exactly one scope, by id."""

    store: Store

    def __call__(self, scope: Scope, *, after: str, limit: int) -> Sequence[RoleBinding]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[RoleBinding]:
            require_scope(reader, scope)
            return reader.access.bindings.list(scope, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateRoleBinding:
    """Changes the members, the condition or the description."""

    store: Store

    def __call__(
        self, call: Call[RoleBinding], name: RoleBindingName, etag: str, changes: Mapping[str, Any]
    ) -> Committed[RoleBinding]:
        """Raises: ROLE_BINDING_NOT_FOUND, ETAG_MISMATCH, INVALID_FIELD, LAST_ADMIN."""
        if "members" in changes:
            changes = {**changes, "members": checked(changes["members"])}

        def work(unit: Unit) -> RoleBinding:
            hold_scope(unit, name.scope)
            before = known_binding(unit, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            unit.access.bindings.update(after)
            require_admin_left(unit)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class DeleteRoleBinding:
    """Removes a binding."""

    store: Store

    def __call__(self, call: Call[RoleBinding], name: RoleBindingName, etag: str) -> Committed[RoleBinding]:
        """The binding as it was.

        Raises: ROLE_BINDING_NOT_FOUND, ETAG_MISMATCH, LAST_ADMIN.
        """

        def work(unit: Unit) -> RoleBinding:
            hold_scope(unit, name.scope)
            before = known_binding(unit, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            unit.access.bindings.delete(name)
            require_admin_left(unit)
            after = replace(before, update_time=unit.now, revision=revision)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)


def checked(members: Collection[str]) -> tuple[str, ...]:
    """The members of a binding, sorted, each once.

    Raises: INVALID_FIELD when there are none, or too many.
    """
    found = tuple(sorted(set(members)))
    if not 1 <= len(found) <= MAX_MEMBERS:
        raise invalid_field("role_binding.members", f"has {len(found)} members; must be 1 to {MAX_MEMBERS}")
    return found
