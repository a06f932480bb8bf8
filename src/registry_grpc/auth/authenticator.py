"""Credentials to principals: tokens of this registry, JWTs of trusted issuers, client certificates.

An unknown token and one with a wrong secret get the same text, and a token is only ever compared by its hash.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from registry_grpc.auth.credentials import Certificate, Credentials, bearer, header_key, not_ours, only
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import Token, parse_token
from registry_grpc.observability.metrics import Metrics
from registry_grpc.ports.identity import Accounts
from registry_grpc.ports.store import Store

CACHE_TTL_S = 30.0
OUTAGE_S = 3600.0
"""How long a token that was proven goes on while the database cannot be asked: Resolve must outlive it."""
OUTAGE_RECHECK_S = 5.0
UNKNOWN_TTL_S = 5.0
"""How long a token that is none of ours is refused without asking again."""
CACHE_ENTRIES = 4096
Lookup = Callable[[str], Awaitable[tuple[Token | None, datetime]]]
"""The token with a public id, and the database's time."""
_JWT_DOTS = 2
_NO_HASH = bytes(32)
_METRIC_OF = {
    Reason.TOKEN_MISSING: "missing",
    Reason.TOKEN_INVALID: "invalid",
    Reason.TOKEN_EXPIRED: "expired",
    Reason.TOKEN_REVOKED: "revoked",
    Reason.PRINCIPAL_DISABLED: "disabled",
    Reason.ISSUER_UNAVAILABLE: "issuer_unavailable",
}


class JwtVerifier(Protocol):
    """Proves JWTs."""

    async def verify(self, text: str) -> Principal:
        """Whose token this is, with the end of the proof.

        Raises: TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE.
        """


class NoAccounts:
    """No service accounts, and so none that is disabled."""

    def is_active(self, principal: str) -> bool:  # noqa: ARG002 - the port's signature
        """Everybody is."""
        return True

    def by_certificate(self, names: object) -> str | None:  # noqa: ARG002 - the port's signature
        """Nobody."""
        return None


class Proof:
    """A caller who was proven. Whoever keeps one looks at `until` each time: what is forgotten ends there."""

    __slots__ = ("outlives", "principal", "until")

    def __init__(self, principal: Principal, until: float, outlives: float) -> None:
        """Both ends on the authenticator's clock, which is `time.monotonic`."""
        self.principal = principal
        self.until = until
        """When it must be proven again."""
        self.outlives = outlives
        """When it is worth nothing any more, also while the database is away."""


def store_lookup(store: Store, run: Callable[..., Awaitable[tuple[Token | None, datetime]]]) -> Lookup:
    """Looks tokens up in the store, in the pool that `run` runs functions in."""

    def read(token_id: str) -> tuple[Token | None, datetime]:
        return store.read(lambda reader: (reader.tokens.get(token_id), reader.now))

    def lookup(token_id: str) -> Awaitable[tuple[Token | None, datetime]]:
        return run(read, token_id)

    return lookup


class Authenticator:
    """Proves callers by what their call brings.

    Concurrency: event loop only. A token that was revoked may go on for `CACHE_TTL_S`, or for `OUTAGE_S` while the
    database is away, unless `forget_token` is told of it before; a token that expires may not. Service accounts are
    asked for at every use.
    """

    def __init__(
        self,
        lookup: Lookup,
        metrics: Metrics,
        *,
        accounts: Accounts | None = None,
        jwts: JwtVerifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._lookup = lookup
        self._metrics = metrics
        self._accounts: Accounts = accounts or NoAccounts()
        self._jwts = jwts
        self._clock = clock
        self._wall = wall
        self._proofs: OrderedDict[bytes, Proof] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._forgotten = 0

    def cached(self, credentials: Credentials) -> Proof | None:
        """The proof, when it can be had without waiting: proven less than `CACHE_TTL_S` ago, or by a certificate."""
        if len(credentials.authorization) != 1:
            return None
        key = header_key(credentials.authorization[0])
        proof = self._proofs.get(key)
        if proof is None or proof.until < self._clock() or not self._accounts.is_active(proof.principal.name):
            return None
        self._proofs.move_to_end(key)
        return proof

    async def authenticate(self, credentials: Credentials) -> Principal:
        """The principal behind these credentials.

        Raises: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED, PRINCIPAL_DISABLED; DATABASE_UNAVAILABLE,
        ISSUER_UNAVAILABLE.
        """
        try:
            return self._active(await self._prove(credentials))
        except RegistryError as error:
            label = _METRIC_OF.get(error.reason)
            if label:
                self._metrics.auth_failures.labels(label).inc()
            raise

    def _active(self, principal: Principal) -> Principal:
        if not self._accounts.is_active(principal.name):
            raise RegistryError(
                Reason.PRINCIPAL_DISABLED,
                f"{principal.name} is disabled or deleted; an administrator of the registry can enable it",
            )
        return principal

    def forget_token(self, token_id: str) -> None:
        """Prove the token with this id again at its next use; it was revoked."""
        self._forget(lambda principal: principal.token == token_id)

    def forget_principal(self, name: str) -> None:
        """Prove this principal again at its next use."""
        self._forget(lambda principal: principal.name == name)

    def _forget(self, concerns: Callable[[Principal], bool]) -> None:
        # A lookup that is on its way may have read the row as it was before.
        self._forgotten += 1
        for key in [key for key, proof in self._proofs.items() if concerns(proof.principal)]:
            # Shortcuts hold the proof itself.
            self._proofs.pop(key).until = float("-inf")

    async def _prove(self, credentials: Credentials) -> Principal:
        if not credentials.authorization and credentials.certificate is not None:
            return self._by_certificate(credentials.certificate)
        header = only(credentials.authorization)
        text = bearer(header)
        if self._jwts is not None and text.count(".") == _JWT_DOTS:
            return await self._by_jwt(self._jwts, header, text)
        return await self._by_token(header, text)

    def _by_certificate(self, certificate: Certificate) -> Principal:
        if certificate.expires <= self._wall():
            raise RegistryError(Reason.TOKEN_EXPIRED, "the client certificate is past its end; connect with a new one")
        name = self._accounts.by_certificate(certificate.names)
        if name is None:
            raise RegistryError(
                Reason.TOKEN_INVALID,
                f"no service account has a name of this client certificate among its certificate_names: {certificate}; "
                "send a token, or have an administrator of the registry add one",
            )
        return Principal(name, method="certificate", expire_time=datetime.fromtimestamp(certificate.expires, UTC))

    async def _by_jwt(self, jwts: JwtVerifier, header: str, text: str) -> Principal:
        principal = await jwts.verify(text)
        end = principal.expire_time
        # Past its end by less than the leeway it is proven each time.
        left_s = max(0.0, end.timestamp() - self._wall()) if end is not None else 0.0
        now = self._clock()
        self._remember(header, Proof(principal, now + min(CACHE_TTL_S, left_s), now + left_s))
        return principal

    async def _by_token(self, header: str, text: str) -> Principal:
        key = header_key(header)
        if self._is_unknown(key):
            raise not_ours()
        try:
            return await self._look_up(header, text)
        except RegistryError as error:
            if error.reason is Reason.DATABASE_UNAVAILABLE:
                return self._known_before(header, error)
            self._proofs.pop(key, None)
            if error.reason is Reason.TOKEN_INVALID and parse_token(text) is not None:
                self._unknown[key] = self._clock() + UNKNOWN_TTL_S
                while len(self._unknown) > CACHE_ENTRIES:
                    self._unknown.popitem(last=False)
            raise

    async def _look_up(self, header: str, given: str) -> Principal:
        text = parse_token(given)
        if text is None:
            raise not_ours()
        seen = self._forgotten
        token, now = await self._lookup(text.id)
        # Compared also when there is none: time must not tell which ids there are.
        same = hmac.compare_digest(text.hash(), token.secret_hash if token else _NO_HASH)
        if token is None or not same:
            raise not_ours()
        if token.revoke_time is not None:
            raise RegistryError(Reason.TOKEN_REVOKED, "the token was revoked; get a new one")
        if token.expire_time is not None and token.expire_time <= now:
            raise RegistryError(Reason.TOKEN_EXPIRED, "the token is past its end; get a new one")
        principal = Principal(token.principal, token.id, expire_time=token.expire_time)
        left_s = float("inf") if token.expire_time is None else (token.expire_time - now).total_seconds()
        clock = self._clock()
        if seen == self._forgotten:
            self._remember(header, Proof(principal, clock + min(CACHE_TTL_S, left_s), clock + min(OUTAGE_S, left_s)))
        return principal

    def _is_unknown(self, key: bytes) -> bool:
        """Whether the token was none of ours less than `UNKNOWN_TTL_S` ago."""
        until = self._unknown.get(key)
        if until is None:
            return False
        if until < self._clock():
            del self._unknown[key]
            return False
        return True

    def _known_before(self, header: str, error: RegistryError) -> Principal:
        """Who the token was when the database could last be asked."""
        now = self._clock()
        proof = self._proofs.get(header_key(header))
        if proof is None or proof.outlives < now:
            raise error
        # Not every call should wait for a database that is away.
        until = min(now + OUTAGE_RECHECK_S, proof.outlives)
        self._remember(header, Proof(proof.principal, until, proof.outlives))
        return proof.principal

    def _remember(self, header: str, proof: Proof) -> None:
        key = header_key(header)
        before = self._proofs.get(key)
        if before is not None:
            before.until = float("-inf")
        self._proofs[key] = proof
        while len(self._proofs) > CACHE_ENTRIES:
            # What is out of sight could not be forgotten any more.
            self._proofs.popitem(last=False)[1].until = float("-inf")
