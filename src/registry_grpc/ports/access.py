"""Repositories of roles, bindings and service accounts. Read at start and by AccessService; calls are judged in memory.

Whoever writes any of them, or a token, takes `Access.lock` first: what one of them means depends on the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
    from registry_grpc.domain.access_names import RoleBindingName, RoleName, Scope, ServiceAccountName
    from registry_grpc.domain.identity import Token


class Roles(Protocol):
    """Custom roles; the predefined ones are in `domain.roles`."""

    def get(self, name: RoleName) -> Role | None:
        """The role."""

    def list(self, *, after: str, limit: int) -> Sequence[Role]:
        """By id."""

    def insert(self, role: Role) -> None:
        """Raises: RESOURCE_EXISTS."""

    def update(self, role: Role) -> None:
        """Replace the row of `role.name`."""

    def delete(self, name: RoleName) -> None:
        """Remove the row."""


class RoleBindings(Protocol):
    """Bindings of roles."""

    def get(self, name: RoleBindingName) -> RoleBinding | None:
        """The binding."""

    def list(self, scope: Scope, *, after: str, limit: int) -> Sequence[RoleBinding]:
        """Of exactly this scope, by id."""

    def all(self, *, after: tuple[str, str, str], limit: int) -> Sequence[RoleBinding]:
        """Of every scope, by (project, model, id)."""

    def of_role(self, name: RoleName, limit: int) -> Sequence[RoleBinding]:
        """Those that bind the role."""

    def below(self, scope: Scope) -> Sequence[RoleBinding]:
        """Those of a project or model and, for a project, of its models."""

    def insert(self, binding: RoleBinding) -> None:
        """Raises: RESOURCE_EXISTS."""

    def update(self, binding: RoleBinding) -> None:
        """Replace the row of `binding.name`."""

    def delete(self, name: RoleBindingName) -> None:
        """Remove the row."""


class ServiceAccounts(Protocol):
    """Service accounts, also deleted ones."""

    def get(self, name: ServiceAccountName) -> ServiceAccount | None:
        """The account."""

    def list(self, project: str, *, after: str, limit: int) -> Sequence[ServiceAccount]:
        """Those of exactly this project (empty: of the registry) that are not deleted, by id."""

    def all(self, *, after: tuple[str, str], limit: int) -> Sequence[ServiceAccount]:
        """Of every scope, also deleted ones, by (project, id)."""

    def with_certificate(self, names: Collection[str]) -> Sequence[ServiceAccount]:
        """Those, not deleted, that carry one of these names."""

    def insert(self, account: ServiceAccount) -> None:
        """Raises: RESOURCE_EXISTS, also when a deleted one has the id."""

    def update(self, account: ServiceAccount) -> None:
        """Replace the row of `account.name`."""

    def delete(self, name: ServiceAccountName) -> None:
        """Remove the row, when its project is purged."""


class Access(Protocol):
    """All of them."""

    @property
    def roles(self) -> Roles:
        """Custom roles."""

    @property
    def bindings(self) -> RoleBindings:
        """Bindings."""

    @property
    def accounts(self) -> ServiceAccounts:
        """Service accounts."""

    def lock(self) -> None:
        """Hold every other writer of access off to the end of the transaction. Before any other lock."""


class Tokens(Protocol):
    """Access tokens; only their hash is kept."""

    def get(self, token_id: str) -> Token | None:
        """The token with this public id."""

    def list(self) -> Sequence[Token]:
        """All, by create_time."""

    def of(self, principal: str, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Token]:
        """Those of a principal, newest first; `after` is (create_time, id), exclusive."""

    def revoked_since(self, time: datetime) -> Sequence[Token]:
        """Those revoked at `time` or later."""

    def insert(self, token: Token) -> None:
        """Add a token."""

    def update(self, token: Token) -> None:
        """Replace the row of `token.id`."""

    def forget(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` that expired before that time; how many."""
