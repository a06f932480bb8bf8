"""Roles, bindings, service accounts, tokens and callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.access import Condition
from registry_grpc.domain.access_names import RoleName, TokenName
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.times import optional_time_to_wire, time_to_wire
from registry_grpc.v1 import access_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
    from registry_grpc.domain.calls import Principal
    from registry_grpc.domain.identity import Token

_METHODS = {
    "token": access_pb2.AUTHENTICATION_METHOD_TOKEN,
    "oidc": access_pb2.AUTHENTICATION_METHOD_OIDC,
    "certificate": access_pb2.AUTHENTICATION_METHOD_CERTIFICATE,
}


def role_to_wire(role: Role) -> access_pb2.Role:
    """The resource."""
    return access_pb2.Role(
        name=str(role.name),
        uid=role.uid,
        display_name=role.display_name,
        description=role.description,
        permissions=role.permissions,
        predefined=role.predefined,
        create_time=optional_time_to_wire(role.create_time),
        update_time=optional_time_to_wire(role.update_time),
        etag=role.etag,
        revision=role.revision,
    )


_ROLE: dict[str, Callable[[access_pb2.Role, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "permissions": lambda message, _: tuple(message.permissions),
}


def role_changes(message: access_pb2.Role, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `Role` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_ROLE, message, fields, "role")


def condition_to_wire(condition: Condition) -> access_pb2.Condition | None:
    """Unset when it limits nothing."""
    if not condition:
        return None
    return access_pb2.Condition(stages=condition.stages, read_only_tags=condition.read_only_tags)


def binding_to_wire(binding: RoleBinding) -> access_pb2.RoleBinding:
    """The resource."""
    return access_pb2.RoleBinding(
        name=str(binding.name),
        uid=binding.uid,
        role=str(binding.role),
        members=binding.members,
        condition=condition_to_wire(binding.condition),
        description=binding.description,
        create_time=time_to_wire(binding.create_time),
        update_time=time_to_wire(binding.update_time),
        creator=binding.creator,
        etag=binding.etag,
        revision=binding.revision,
    )


_BINDING: dict[str, Callable[[access_pb2.RoleBinding, str], Any]] = {
    "role": lambda message, path: RoleName.parse(message.role, path),
    "members": lambda message, _: tuple(message.members),
    "condition": lambda message, _: Condition(
        tuple(sorted(set(message.condition.stages))), dict(message.condition.read_only_tags)
    ),
    "description": lambda message, _: message.description,
}


def binding_changes(message: access_pb2.RoleBinding, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `RoleBinding` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_BINDING, message, fields, "role_binding")


def account_to_wire(account: ServiceAccount) -> access_pb2.ServiceAccount:
    """The resource."""
    return access_pb2.ServiceAccount(
        name=str(account.name),
        uid=account.uid,
        display_name=account.display_name,
        description=account.description,
        disabled=account.disabled,
        certificate_names=account.certificate_names,
        principal=account.name.principal,
        create_time=time_to_wire(account.create_time),
        update_time=time_to_wire(account.update_time),
        delete_time=optional_time_to_wire(account.delete_time),
        creator=account.creator,
        etag=account.etag,
        revision=account.revision,
    )


_ACCOUNT: dict[str, Callable[[access_pb2.ServiceAccount, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "disabled": lambda message, _: message.disabled,
    "certificate_names": lambda message, _: tuple(dict.fromkeys(message.certificate_names)),
}


def account_changes(message: access_pb2.ServiceAccount, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `ServiceAccount` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_ACCOUNT, message, fields, "service_account")


def token_to_wire(token: Token) -> access_pb2.Token:
    """The resource; nothing of its text or hash."""
    return access_pb2.Token(
        name=str(TokenName(token.id)),
        principal=token.principal,
        description=token.description,
        create_time=time_to_wire(token.create_time),
        expire_time=optional_time_to_wire(token.expire_time),
        revoke_time=optional_time_to_wire(token.revoke_time),
        creator=token.creator,
        revision=token.revision,
    )


def caller_to_wire(principal: Principal, bindings: Sequence[RoleBinding]) -> access_pb2.Caller:
    """A proven caller with the bindings in force for it."""
    return access_pb2.Caller(
        principal=principal.name,
        groups=principal.groups,
        method=_METHODS[principal.method],
        token=str(TokenName(principal.token)) if principal.token else "",
        expire_time=optional_time_to_wire(principal.expire_time),
        role_bindings=[binding_to_wire(binding) for binding in bindings],
    )
