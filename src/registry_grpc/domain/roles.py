"""Every permission there is, and the predefined roles that give them. The one table of both."""

from __future__ import annotations

from registry_grpc.domain.access import Role
from registry_grpc.domain.access_names import RoleName

ADMIN = "admin"


def _of(resource: str, verbs: str) -> frozenset[str]:
    return frozenset(f"{resource}.{verb}" for verb in verbs.split())


_READING = (
    _of("projects", "get list")
    | _of("models", "get list")
    | _of("versions", "get list")
    | _of("aliases", "list")
    | _of("artifacts", "find get list read sign")
    | _of("uploads", "get list")
    | _of("stages", "resolve get list history")
    | _of("events", "watch")
    | _of("deployments", "get list")
)
_CONTRIBUTING = (
    _of("models", "create update")
    | _of("versions", "create update finalize delete undelete")
    | _of("artifacts", "attach")
    | _of("uploads", "create write cancel")
)
STAGE_MOVES = _of("stages", "promote rollback vacate")
"""Permissions that a condition on stages limits."""
_DEPLOYING = STAGE_MOVES | _of("aliases", "update") | _of("deployments", "report retire") | _of("consumers", "list")
_GRANTING = (
    _of("roleBindings", "create update delete")
    | _of("serviceAccounts", "create update delete")
    | _of("tokens", "create revoke")
)
REGISTRY_ONLY = (
    _of("projects", "create setQuotas")
    | _of("roles", "create update delete")
    | _of("serviceAccounts", "setCertificateNames")
    | _of("garbage", "collect")
)
"""Permissions that only a binding on the registry gives, whatever role it binds."""
UNCONDITIONAL = _GRANTING | REGISTRY_ONLY
"""Permissions that a binding with a condition does not give: whoever has them could give itself the rest."""
_ADMINISTERING = (
    _of("projects", "update delete undelete purge")
    | _of("models", "delete undelete purge")
    | _of("versions", "purge")
    | _of("uploads", "administer")
    | _of("roles", "get list")
    | _of("roleBindings", "get list")
    | _of("serviceAccounts", "get list")
    | _of("tokens", "list")
    | _of("webhooks", "get list create update delete rotate test redeliver")
)
_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "viewer": ("Reads the catalogue, stages and files.", _READING),
    "contributor": ("Reads, and makes models, versions and their files.", _READING | _CONTRIBUTING),
    "approver": ("Reads, and decides on requests of others.", _READING | _of("consumers", "list")),
    "deployer": ("Reads, moves stages and aliases, and reports what runs.", _READING | _DEPLOYING),
    ADMIN: (
        "Everything in its scope. On the registry: projects, roles, quotas and the tokens of people too.",
        _READING | _CONTRIBUTING | _DEPLOYING | _GRANTING | REGISTRY_ONLY | _ADMINISTERING,
    ),
}
PREDEFINED: dict[str, Role] = {
    name: Role(
        uid="",
        name=RoleName(name),
        display_name=name.capitalize(),
        description=description,
        permissions=tuple(sorted(permissions)),
    )
    for name, (description, permissions) in _ROLES.items()
}
"""By id."""
PERMISSIONS = frozenset(PREDEFINED[ADMIN].permissions)
"""Every permission: `admin` has them all."""
