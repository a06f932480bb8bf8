"""Custom roles: create, read, change, delete. The predefined ones are part of the program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.access import MAX_PERMISSIONS, Role
from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.roles import PERMISSIONS, PREDEFINED
from registry_grpc.usecases.access.checks import known_role
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.access_names import RoleName
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CreateRole:
    """Creates a custom role."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Role], name: RoleName, fields: Mapping[str, Any]) -> Committed[Role]:
        """Raises: RESOURCE_EXISTS, also for the id of a predefined role; INVALID_FIELD for an unknown permission."""
        permissions = checked(fields.get("permissions", ()))
        if name.role in PREDEFINED:
            raise RegistryError(
                Reason.RESOURCE_EXISTS, f"{name} is predefined; choose another id for a role of your own", resource=name
            )
        uid = self.ids.uuid()

        def work(unit: Unit) -> Role:
            unit.access.lock()
            revision = unit.advance(str(name))
            role = Role(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "permissions": permissions,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.access.roles.insert(role)
            unit.record(Action.CREATED, role)
            return role

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetRole:
    """One role, predefined or custom."""

    store: Store

    def __call__(self, name: RoleName) -> Role:
        """Raises: ROLE_NOT_FOUND."""
        return PREDEFINED.get(name.role) or self.store.read(lambda reader: known_role(reader, name))


@dataclass(frozen=True, slots=True)
class ListRoles:
    """Roles, predefined and custom, by id."""

    store: Store

    def __call__(self, *, after: str, limit: int) -> Sequence[Role]:
        """A keyset page."""

        def work(reader: Reader) -> Sequence[Role]:
            custom = reader.access.roles.list(after=after, limit=limit)
            ours = [role for name, role in PREDEFINED.items() if name > after]
            return sorted([*custom, *ours], key=lambda role: role.name)[:limit]

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateRole:
    """Changes a custom role, for everyone who is bound to it."""

    store: Store

    def __call__(self, call: Call[Role], name: RoleName, etag: str, changes: Mapping[str, Any]) -> Committed[Role]:
        """Raises: ROLE_NOT_FOUND, IMMUTABLE_FIELD for a predefined role, ETAG_MISMATCH, INVALID_FIELD."""
        require_custom(name)
        if "permissions" in changes:
            changes = {**changes, "permissions": checked(changes["permissions"])}

        def work(unit: Unit) -> Role:
            unit.access.lock()
            before = known_role(unit, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            unit.access.roles.update(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class DeleteRole:
    """Deletes a custom role that nothing binds."""

    store: Store

    def __call__(self, call: Call[Role], name: RoleName, etag: str) -> Committed[Role]:
        """The role as it was.

        Raises: ROLE_NOT_FOUND, IMMUTABLE_FIELD for a predefined role, ETAG_MISMATCH, ROLE_IN_USE naming the bindings.
        """
        require_custom(name)

        def work(unit: Unit) -> Role:
            unit.access.lock()
            before = known_role(unit, name)
            require_etag(before, etag)
            bound = unit.access.bindings.of_role(name, _SHOWN)
            if bound:
                names = ", ".join(str(binding.name) for binding in bound)
                raise RegistryError(
                    Reason.ROLE_IN_USE,
                    f"{name} is bound by {names}; delete the bindings first",
                    violations=tuple(Violation(str(binding.name), f"binds {name}") for binding in bound),
                    resource=name,
                )
            revision = unit.advance(str(name))
            unit.access.roles.delete(name)
            after = replace(before, update_time=unit.now, revision=revision)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)


def require_custom(name: RoleName) -> None:
    """Raises: IMMUTABLE_FIELD for a predefined role."""
    if name.role in PREDEFINED:
        raise RegistryError(
            Reason.IMMUTABLE_FIELD,
            f"{name} is predefined and part of the program; create a role of your own",
            field="role.name",
        )


def checked(permissions: Collection[str]) -> tuple[str, ...]:
    """The permissions of a role, sorted, each once.

    Raises: INVALID_FIELD when there are none, too many, or one that is unknown.
    """
    found = tuple(sorted(set(permissions)))
    if not 1 <= len(found) <= MAX_PERMISSIONS:
        raise invalid_field("role.permissions", f"has {len(found)} permissions; must be 1 to {MAX_PERMISSIONS}")
    for permission in found:
        if permission not in PERMISSIONS:
            raise invalid_field(
                "role.permissions", f"{permission!r} is no permission; roles/admin shows every one there is"
            )
    return found
