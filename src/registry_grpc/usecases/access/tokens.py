"""Tokens: issue, list, revoke. Their text is made by the caller of these verbs and never comes here again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import ServiceAccountName, TokenName
from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.identity import Token
from registry_grpc.usecases.access.checks import live_account

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.identity import TokenText
    from registry_grpc.ports.store import Store, Unit

DEFAULT_LIFE = timedelta(days=90)
MAX_LIFE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Makes a token for a service account, or for a person of this registry's own."""

    store: Store

    def __call__(
        self, call: Call[Token], text: TokenText, principal: str, description: str, expire_time: datetime | None
    ) -> Committed[Token]:
        """The token. A replay knows nothing of `text`: that token was another one.

        Raises: SERVICE_ACCOUNT_NOT_FOUND, INVALID_FIELD.
        """
        account = ServiceAccountName.of_principal(principal)
        if account is None and (not principal.startswith("user:") or "/" in principal):
            raise invalid_field(
                "principal", "must be `serviceAccount:…` or `user:{name}`; those of an issuer come in by its tokens"
            )

        def work(unit: Unit) -> Token:
            unit.access.lock()
            if account is not None:
                live_account(unit, account)
            _require_end(unit.now, expire_time)
            revision = unit.advance(str(TokenName(text.id)))
            token = Token(
                id=text.id,
                secret_hash=text.hash(),
                principal=principal,
                description=description,
                creator=call.principal.name,
                create_time=unit.now,
                expire_time=expire_time or unit.now + DEFAULT_LIFE,
                revision=revision,
            )
            unit.tokens.insert(token)
            unit.record(Action.CREATED, token)
            return token

        return self.store.write(work, call)


def _require_end(now: datetime, wanted: datetime | None) -> None:
    if wanted is not None and not now < wanted <= now + MAX_LIFE:
        raise invalid_field("expire_time", f"must lie in the future, at most {MAX_LIFE.days} days from now")


@dataclass(frozen=True, slots=True)
class ListTokens:
    """Tokens of a principal, newest first."""

    store: Store

    def __call__(self, principal: str, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Token]:
        """A keyset page by (create_time, id)."""
        return self.store.read(lambda reader: reader.tokens.of(principal, after=after, limit=limit))


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Revokes a token for good."""

    store: Store

    def __call__(self, call: Call[Token], name: TokenName, require: Callable[[str], None]) -> Committed[Token]:
        """The revoked token; revoking a revoked one returns it.

        `require` refuses a principal whose tokens are none of the caller's business.

        Raises: TOKEN_NOT_FOUND, and what `require` raises.
        """

        def work(unit: Unit) -> Token:
            unit.access.lock()
            before = unit.tokens.get(name.token)
            if before is None:
                raise token_not_found(name)
            require(before.principal)
            if before.revoke_time is not None:
                return before
            revision = unit.advance(str(name))
            after = replace(before, revoke_time=unit.now, revision=revision)
            unit.tokens.update(after)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)


def token_not_found(name: TokenName) -> RegistryError:
    """The error for a token that is not there; the same for one the caller may not know of."""
    return RegistryError(Reason.TOKEN_NOT_FOUND, f"{name} does not exist", resource=name)
