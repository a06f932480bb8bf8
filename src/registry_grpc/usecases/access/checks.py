"""What several verbs of access ask: is it there, is it free to change, is an administrator left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import REGISTRY, RoleName, ServiceAccountName
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.roles import ADMIN, PREDEFINED
from registry_grpc.usecases.checks import live_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
    from registry_grpc.domain.access_names import RoleBindingName, Scope
    from registry_grpc.ports.store import Reader, Unit

_PAGE = 1000


def hold_scope(unit: Unit, scope: Scope) -> None:
    """Lock access, and see that the scope is there and stays.

    Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND.
    """
    unit.access.lock()
    require_scope(unit, scope)


def require_scope(reader: Reader, scope: Scope) -> None:
    """Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND."""
    if scope.model:
        live_model(reader, ModelName(scope.project, scope.model))
    if scope.project:
        reader.projects.get(scope.project)


def known_role(reader: Reader, name: RoleName) -> Role:
    """A role, predefined or custom.

    Raises: ROLE_NOT_FOUND.
    """
    role = PREDEFINED.get(name.role) or reader.access.roles.get(name)
    if role is None:
        raise RegistryError(
            Reason.ROLE_NOT_FOUND, f"{name} does not exist; `mreg access roles list` shows those that do", resource=name
        )
    return role


def known_binding(reader: Reader, name: RoleBindingName) -> RoleBinding:
    """Raises: ROLE_BINDING_NOT_FOUND, PROJECT_NOT_FOUND, MODEL_NOT_FOUND."""
    binding = reader.access.bindings.get(name)
    if binding is None:
        require_scope(reader, name.scope)
        raise RegistryError(
            Reason.ROLE_BINDING_NOT_FOUND,
            f"{name} does not exist; list the bindings of {name.scope.shown} to see those that do",
            resource=name,
        )
    return binding


def known_account(reader: Reader, name: ServiceAccountName) -> ServiceAccount:
    """The account, also a deleted one.

    Raises: SERVICE_ACCOUNT_NOT_FOUND, PROJECT_NOT_FOUND.
    """
    if name.project:
        reader.projects.get(name.project)
    account = reader.access.accounts.get(name)
    if account is None:
        raise account_not_found(name, "does not exist")
    return account


def live_account(reader: Reader, name: ServiceAccountName) -> ServiceAccount:
    """As `known_account`, but a deleted one is not found."""
    account = known_account(reader, name)
    if account.delete_time is not None:
        raise account_not_found(name, "is deleted, for good")
    return account


def account_not_found(name: ServiceAccountName, why: str) -> RegistryError:
    """The error for an account that cannot be used."""
    return RegistryError(Reason.SERVICE_ACCOUNT_NOT_FOUND, f"{name} {why}; create one under another id", resource=name)


def require_admin_left(unit: Unit) -> None:
    """Refuse what was just written when nobody could administer the registry after it.

    Counted are people, groups and accounts that may come in, in bindings of `admin` on the registry without condition.

    Raises: LAST_ADMIN.
    """
    for binding in _of_registry(unit):
        administers = binding.role.role == ADMIN and not binding.condition
        if administers and any(_may_come_in(unit, member) for member in binding.members):
            return
    raise RegistryError(
        Reason.LAST_ADMIN,
        "nobody could administer the registry after this; bind roles/admin on the registry to somebody else first",
    )


def _of_registry(reader: Reader) -> Iterator[RoleBinding]:
    after = ""
    while page := reader.access.bindings.list(REGISTRY, after=after, limit=_PAGE):
        yield from page
        after = page[-1].name.id


def _may_come_in(reader: Reader, member: str) -> bool:
    name = ServiceAccountName.of_principal(member)
    if name is None:
        return member.startswith(("user:", "group:"))
    account = reader.access.accounts.get(name)
    return account is not None and account.active


def all_bindings(reader: Reader) -> Iterator[RoleBinding]:
    """Every binding of the registry."""
    after = ("", "", "")
    while page := reader.access.bindings.all(after=after, limit=_PAGE):
        yield from page
        last = page[-1].name
        after = (last.project, last.model, last.id)
