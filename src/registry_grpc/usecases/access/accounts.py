"""Service accounts: create, read, change, delete; and what goes with a project or model that goes for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.access import ServiceAccount
from registry_grpc.domain.access_names import Scope, ServiceAccountName
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import Model, Project
from registry_grpc.usecases.access.checks import (
    all_bindings,
    hold_scope,
    known_account,
    live_account,
    require_admin_left,
    require_scope,
)
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit

_MOST_TOKENS = 100_000
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class CreateServiceAccount:
    """Creates a service account, which may do nothing until it is bound."""

    store: Store
    ids: Ids

    def __call__(
        self, call: Call[ServiceAccount], name: ServiceAccountName, fields: Mapping[str, Any]
    ) -> Committed[ServiceAccount]:
        """Raises: PROJECT_NOT_FOUND, RESOURCE_EXISTS: the id, also of a deleted account, or a certificate's name."""
        uid = self.ids.uuid()

        def work(unit: Unit) -> ServiceAccount:
            hold_scope(unit, Scope(name.project))
            _require_free(unit, name, fields)
            revision = unit.advance(str(name))
            account = ServiceAccount(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "creator": call.principal.name,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.access.accounts.insert(account)
            unit.record(Action.CREATED, account)
            return account

        return self.store.write(work, call)


def _require_free(unit: Unit, name: ServiceAccountName, fields: Mapping[str, Any]) -> None:
    """Refuse a name that another account has in its certificates.

    Raises: RESOURCE_EXISTS.
    """
    wanted = fields.get("certificate_names", ())
    for account in unit.access.accounts.with_certificate(wanted) if wanted else ():
        if account.name != name:
            shared = next(each for each in wanted if each in account.certificate_names)
            raise RegistryError(
                Reason.RESOURCE_EXISTS,
                f"{account.name} has the certificate name {shared!r} already; a name means one account",
                resource=account.name,
            )


@dataclass(frozen=True, slots=True)
class GetServiceAccount:
    """One service account, also a deleted one."""

    store: Store

    def __call__(self, name: ServiceAccountName) -> ServiceAccount:
        """Raises: SERVICE_ACCOUNT_NOT_FOUND, PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: known_account(reader, name))


@dataclass(frozen=True, slots=True)
class ListServiceAccounts:
    """Service accounts of exactly one scope, by id."""

    store: Store

    def __call__(self, project: str, *, after: str, limit: int) -> Sequence[ServiceAccount]:
        """A keyset page; `project` empty means those of the registry.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[ServiceAccount]:
            require_scope(reader, Scope(project))
            return reader.access.accounts.list(project, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateServiceAccount:
    """Changes a service account."""

    store: Store

    def __call__(
        self, call: Call[ServiceAccount], name: ServiceAccountName, etag: str, changes: Mapping[str, Any]
    ) -> Committed[ServiceAccount]:
        """Raises: SERVICE_ACCOUNT_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS (a certificate's name), LAST_ADMIN."""

        def work(unit: Unit) -> ServiceAccount:
            hold_scope(unit, Scope(name.project))
            before = live_account(unit, name)
            require_etag(before, etag)
            _require_free(unit, name, changes)
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            unit.access.accounts.update(after)
            if after.disabled and not before.disabled:
                require_admin_left(unit)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class DeleteServiceAccount:
    """Deletes a service account for good, revokes its tokens and takes it out of every binding."""

    store: Store

    def __call__(self, call: Call[ServiceAccount], name: ServiceAccountName, etag: str) -> Committed[ServiceAccount]:
        """The deleted account; deleting a deleted one returns it.

        Raises: SERVICE_ACCOUNT_NOT_FOUND, ETAG_MISMATCH, LAST_ADMIN.
        """

        def work(unit: Unit) -> ServiceAccount:
            hold_scope(unit, Scope(name.project))
            before = known_account(unit, name)
            require_etag(before, etag)
            if before.delete_time is not None:
                return before
            bindings = [binding for binding in all_bindings(unit) if name.principal in binding.members]
            revision = unit.advance(str(name))
            after = replace(before, delete_time=unit.now, update_time=unit.now, revision=revision)
            unit.access.accounts.update(after)
            unit.record(Action.DELETED, after)
            for binding in bindings:
                rest = tuple(member for member in binding.members if member != name.principal)
                changed = replace(binding, members=rest or binding.members, update_time=unit.now, revision=revision)
                if rest:
                    unit.access.bindings.update(changed)
                else:
                    unit.access.bindings.delete(binding.name)
                unit.record(Action.UPDATED if rest else Action.DELETED, changed)
            revoke_tokens(unit, name, revision)
            require_admin_left(unit)
            return after

        return self.store.write(work, call)


def revoke_tokens(unit: Unit, name: ServiceAccountName, revision: int) -> None:
    """Revoke every token of an account."""
    for token in unit.tokens.of(name.principal, after=None, limit=_MOST_TOKENS):
        if token.revoke_time is None:
            revoked = replace(token, revoke_time=unit.now, revision=revision)
            unit.tokens.update(revoked)
            unit.record(Action.DELETED, revoked)


def remove_access(unit: Unit, gone: Project | Model) -> None:
    """Remove the bindings of a project or model that is purged, and the accounts of a project, with their tokens.

    After `Unit.advance`, with the project or model locked: another one may be made under its name, and must not
    inherit who could do what in this one.
    """
    scope = Scope(gone.name.project, gone.name.model if isinstance(gone, Model) else "")
    revision = unit.feed.head()
    for binding in unit.access.bindings.below(scope):
        unit.access.bindings.delete(binding.name)
        unit.record(Action.DELETED, replace(binding, revision=revision))
    while not scope.model and (page := unit.access.accounts.all(after=(scope.project, ""), limit=_PAGE)):
        mine = [account for account in page if account.name.project == scope.project]
        for account in mine:
            revoke_tokens(unit, account.name, revision)
            unit.access.accounts.delete(account.name)
            end = account.delete_time or unit.now
            unit.record(Action.PURGED, replace(account, delete_time=end, revision=revision))
        if len(mine) < _PAGE:
            return
