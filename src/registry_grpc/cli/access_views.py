"""What a table shows of roles, bindings, service accounts and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.cli.output import Columns, when
from registry_grpc.cli.views import last, name

if TYPE_CHECKING:
    from registry_grpc.v1 import access_pb2


def scope(binding: access_pb2.RoleBinding | access_pb2.ServiceAccount) -> str:
    """What it is on: `registry`, or the resource name of a project or model."""
    parent, _, _ = binding.name.rpartition("/")
    above, _, _ = parent.rpartition("/")
    return above or "registry"


def _condition(binding: access_pb2.RoleBinding) -> str:
    condition = binding.condition
    parts = [f"stages {', '.join(condition.stages)}"] if condition.stages else []
    parts += [f"read only where {key}={value}" for key, value in sorted(condition.read_only_tags.items())]
    return "; ".join(parts)


ROLES: Columns = {
    "role": lambda role: last(role.name),
    "predefined": lambda role: "yes" if role.predefined else "",
    "display name": lambda role: role.display_name,
    "permissions": lambda role: len(role.permissions),
}
ROLE: Columns = {
    **ROLES,
    "permissions": lambda role: list(role.permissions),
    "description": lambda role: role.description,
    "updated": lambda role: when(role, "update_time"),
    "etag": lambda role: role.etag,
}
BINDINGS: Columns = {
    "binding": lambda binding: last(binding.name),
    "on": scope,
    "role": lambda binding: last(binding.role),
    "members": lambda binding: list(binding.members),
    "condition": _condition,
}
BINDING: Columns = {
    "name": name,
    **{heading: column for heading, column in BINDINGS.items() if heading != "binding"},
    "description": lambda binding: binding.description,
    "created": lambda binding: when(binding, "create_time"),
    "creator": lambda binding: binding.creator,
    "updated": lambda binding: when(binding, "update_time"),
    "etag": lambda binding: binding.etag,
}
ACCOUNTS: Columns = {
    "account": lambda account: last(account.name),
    "principal": lambda account: account.principal,
    "disabled": lambda account: "yes" if account.disabled else "",
    "display name": lambda account: account.display_name,
    "certificate names": lambda account: list(account.certificate_names),
}
ACCOUNT: Columns = {
    "name": name,
    **{heading: column for heading, column in ACCOUNTS.items() if heading != "account"},
    "description": lambda account: account.description,
    "created": lambda account: when(account, "create_time"),
    "creator": lambda account: account.creator,
    "deleted": lambda account: when(account, "delete_time"),
    "etag": lambda account: account.etag,
}
TOKENS: Columns = {
    "token": lambda token: last(token.name),
    "principal": lambda token: token.principal,
    "description": lambda token: token.description,
    "created": lambda token: when(token, "create_time"),
    "expires": lambda token: when(token, "expire_time"),
    "revoked": lambda token: when(token, "revoke_time"),
    "by": lambda token: token.creator,
}
