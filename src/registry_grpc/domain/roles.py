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
    | _of("stages", "evaluate")
    | _of("policies", "get list")
    | _of("promotionRequests", "get list")
    | _of("trustedSigners", "get list")
    | _of("signatures", "get list")
    | _of("evidence", "get list")
    | _of("runs", "get list")
    | _of("lineage", "get")
)
_CONTRIBUTING = (
    _of("models", "create update")
    | _of("versions", "create update finalize delete undelete")
    | _of("artifacts", "attach")
    | _of("uploads", "create write cancel")
    | _of("promotionRequests", "create comment")
    | _of("signatures", "add")
    | _of("evidence", "add")
    | _of("runs", "record delete")
    | _of("lineage", "link")
)
_APPROVING = _of("promotionRequests", "approve comment") | _of("consumers", "list") | _of("audit", "list")
STAGE_MOVES = _of("stages", "promote rollback vacate")
"""Permissions that a condition on stages limits."""
_DEPLOYING = (
    STAGE_MOVES
    | _of("stages", "freeze")
    | _of("aliases", "update")
    | _of("versions", "deprecate yank reinstate")
    | _of("promotionRequests", "create comment")
    | _of("deployments", "report retire")
    | _of("consumers", "list")
)
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
    | _of("audit", "export prove")
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
    | _of("policies", "create update delete")
    | _of("promotionRequests", "administer")
    | _of("stages", "override")
    | _of("trustedSigners", "create delete")
    | _of("webhooks", "get list create update delete rotate test redeliver")
)
_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "viewer": ("Reads the catalogue, stages and files.", _READING),
    "contributor": ("Reads, and makes models, versions and their files.", _READING | _CONTRIBUTING),
    "approver": ("Reads, and decides on requests of others.", _READING | _APPROVING),
    "deployer": ("Reads, moves stages and aliases, and reports what runs.", _READING | _DEPLOYING),
    ADMIN: (
        "Everything in its scope. On the registry: projects, roles, quotas and the tokens of people too.",
        _READING | _CONTRIBUTING | _APPROVING | _DEPLOYING | _GRANTING | REGISTRY_ONLY | _ADMINISTERING,
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
