"""Roles, bindings and service accounts of the whole registry in memory, kept current by the change feed.

Lookups take no SQL and are safe from any thread. Changes come from the feed and from this process's own commits, in any
order: each thing keeps the revision it was last changed at and ignores older news.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
from registry_grpc.domain.access_names import AUTHENTICATED, Scope
from registry_grpc.domain.events import Action
from registry_grpc.domain.identity import Token
from registry_grpc.domain.resources import Model, Project
from registry_grpc.domain.rights import Rights
from registry_grpc.domain.roles import PREDEFINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from registry_grpc.domain.calls import Principal
    from registry_grpc.domain.events import Event

    Thing = Role | RoleBinding | ServiceAccount
    Identity = tuple[str, tuple[str, ...]]

    class Forgetter(Protocol):
        """Remembers who was proven. Called from any thread, must not wait."""

        def forget_token(self, token_id: str) -> None:
            """The token is worth nothing any more."""

        def forget_principal(self, name: str) -> None:
            """Nobody is this principal any more."""


REMEMBERED = 4096
_GONE = {Action.DELETED, Action.PURGED}


class Snapshot(NamedTuple):
    """Everything at one revision."""

    revision: int
    roles: Sequence[Role]
    bindings: Sequence[RoleBinding]
    accounts: Sequence[ServiceAccount]
    revoked: Sequence[Token]
    """Tokens revoked of late: whoever takes a snapshot may have missed the news of them."""


class AccessView:
    """Implements `ports.identity.Accounts`, and says what each caller may do."""

    def __init__(self) -> None:
        """Knows nothing until `load`: nobody may do anything."""
        self.version = 0
        """Rises with every change, after it can be seen."""
        self._lock = threading.Lock()
        self._roles: dict[str, Role] = dict(PREDEFINED)
        self._bindings: dict[str, RoleBinding] = {}
        self._accounts: dict[str, ServiceAccount] = {}
        """By principal; also those that are deleted."""
        self._of_member: dict[str, dict[str, RoleBinding]] = {}
        self._by_certificate: dict[str, str] = {}
        self._changed: dict[tuple[type, str], int] = {}
        """Revision each thing was last changed at, also of what is gone."""
        self._rights: dict[Identity, tuple[int, Rights]] = {}
        self._forgetters: list[Forgetter] = []

    def tell(self, forgetter: Forgetter) -> None:
        """Tell `forgetter` of every token and account that ends from now on."""
        self._forgetters.append(forgetter)

    def is_active(self, principal: str) -> bool:
        """See the port."""
        if not principal.startswith("serviceAccount:"):
            return True
        account = self._accounts.get(principal)
        return account is not None and account.active

    def by_certificate(self, names: Sequence[str]) -> str | None:
        """See the port."""
        return next((self._by_certificate[name] for name in names if name in self._by_certificate), None)

    def rights(self, principal: Principal) -> Rights:
        """What the caller may do, as this replica knows it."""
        identity = (principal.name, principal.groups)
        known = self._rights.get(identity)
        version = self.version
        if known is not None and known[0] == version:
            return known[1]
        with self._lock:
            rights = Rights.of((binding, self._permissions(binding)) for binding in self._bindings_of(principal))
        if len(self._rights) >= REMEMBERED:
            self._rights.clear()
        self._rights[identity] = (version, rights)
        return rights

    def bindings(self, principal: Principal) -> Sequence[RoleBinding]:
        """Those that are in force for the caller, by name."""
        with self._lock:
            return sorted(_once(self._bindings_of(principal)), key=lambda binding: binding.name)

    def load(self, snapshot: Snapshot) -> None:
        """Take a snapshot; what is younger here stays."""
        with self._lock:
            present: list[Thing] = [*snapshot.roles, *snapshot.bindings, *snapshot.accounts]
            known: list[Thing] = [*self._roles.values(), *self._bindings.values(), *self._accounts.values()]
            named = {_key(thing) for thing in present}
            changes = [self._put(thing, thing.revision) for thing in present]
            # Without a uid it is predefined.
            changes += [
                self._drop(thing, snapshot.revision) for thing in known if thing.uid and _key(thing) not in named
            ]
            self.version += any(changes)
        for token in snapshot.revoked:
            self._forget_token(token.id)
        self._forget_accounts(thing for thing in snapshot.accounts if not thing.active)

    def apply(self, events: Iterable[Event]) -> None:
        """Take news, in the order of their index where they share a revision. Repeating them changes nothing."""
        tokens: list[str] = []
        accounts: list[ServiceAccount] = []
        with self._lock:
            changed = False
            for event in events:
                after = event.after
                if isinstance(after, Token):
                    if after.revoke_time is not None:
                        tokens.append(after.id)
                elif isinstance(after, (Role, RoleBinding, ServiceAccount)):
                    gone = event.action in _GONE
                    taken = self._drop(after, event.revision) if gone else self._put(after, event.revision)
                    changed = taken or changed
                    if isinstance(after, ServiceAccount) and not after.active:
                        accounts.append(after)
                elif event.action is Action.PURGED and isinstance(after, (Project, Model)):
                    changed = self._drop_below(after, event.revision) or changed
            # Also for tokens: what was decided for one must be decided anew.
            self.version += changed or bool(tokens)
        for token in tokens:
            self._forget_token(token)
        self._forget_accounts(accounts)

    def _put(self, thing: Thing, revision: int) -> bool:
        if not self._is_news(thing, revision):
            return False
        self._take_out(thing)
        match thing:
            case Role():
                self._roles[thing.name.role] = thing
            case RoleBinding():
                self._bindings[str(thing.name)] = thing
                for member in thing.members:
                    self._of_member.setdefault(member, {})[str(thing.name)] = thing
            case ServiceAccount():
                self._accounts[thing.name.principal] = thing
                if thing.delete_time is None:
                    self._by_certificate.update(dict.fromkeys(thing.certificate_names, thing.name.principal))
        return True

    def _drop(self, thing: Thing, revision: int) -> bool:
        if not self._is_news(thing, revision):
            return False
        self._take_out(thing)
        return True

    def _drop_below(self, parent: Project | Model, revision: int) -> bool:
        """What lived in a project or model that was purged: another one may be made under its name."""
        project = parent.name.project
        below: list[Thing] = [each for each in self._bindings.values() if each.name.project == project]
        if isinstance(parent, Model):
            scope = Scope(project, parent.name.model)
            below = [each for each in self._bindings.values() if each.name.scope == scope]
        else:
            below += [each for each in self._accounts.values() if each.name.project == project]
        dropped = [self._drop(each, revision) for each in below]
        return any(dropped)

    def _is_news(self, thing: Thing, revision: int) -> bool:
        key = _key(thing)
        if revision <= self._changed.get(key, -1):
            return False
        self._changed[key] = revision
        return True

    def _take_out(self, thing: Thing) -> None:
        match thing:
            case Role():
                self._roles.pop(thing.name.role, None)
            case RoleBinding():
                before = self._bindings.pop(str(thing.name), None)
                for member in before.members if before else ():
                    of_member = self._of_member[member]
                    del of_member[str(thing.name)]
                    if not of_member:
                        del self._of_member[member]
            case ServiceAccount():
                account = self._accounts.pop(thing.name.principal, None)
                for name in account.certificate_names if account else ():
                    if self._by_certificate.get(name) == thing.name.principal:
                        del self._by_certificate[name]

    def _bindings_of(self, principal: Principal) -> Iterator[RoleBinding]:
        for member in (principal.name, *principal.groups, AUTHENTICATED):
            yield from self._of_member.get(member, {}).values()

    def _permissions(self, binding: RoleBinding) -> tuple[str, ...]:
        role = self._roles.get(binding.role.role)
        return role.permissions if role else ()

    def _forget_token(self, token_id: str) -> None:
        for forgetter in self._forgetters:
            forgetter.forget_token(token_id)

    def _forget_accounts(self, accounts: Iterable[ServiceAccount]) -> None:
        for account in accounts:
            for forgetter in self._forgetters:
                forgetter.forget_principal(account.name.principal)


def _once(bindings: Iterable[RoleBinding]) -> list[RoleBinding]:
    """Each once: a caller may be several members of one binding."""
    return list({str(binding.name): binding for binding in bindings}.values())


def _key(thing: Thing) -> tuple[type, str]:
    return type(thing), str(thing.name)
