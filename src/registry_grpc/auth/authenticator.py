"""Bearer tokens to principals.

An unknown token and one with a wrong secret get the same text, and a token is only ever compared by its hash.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import Token, parse_token
from registry_grpc.observability.metrics import Metrics
from registry_grpc.ports.store import Store

HEADER = "authorization"
MAX_HEADER_BYTES = 8 * 1024
CACHE_TTL_S = 30.0
OUTAGE_S = 3600.0
"""How long a token that was proven goes on while the database cannot be asked: Resolve must outlive it."""
OUTAGE_RECHECK_S = 5.0
CACHE_ENTRIES = 4096
Lookup = Callable[[str], Awaitable[tuple[Token | None, datetime]]]
"""The token with a public id, and the database's time."""
_METRIC_OF = {
    Reason.TOKEN_MISSING: "missing",
    Reason.TOKEN_INVALID: "invalid",
    Reason.TOKEN_EXPIRED: "expired",
    Reason.TOKEN_REVOKED: "revoked",
}


class Proof(NamedTuple):
    """A caller who was proven."""

    principal: Principal
    until: float
    """When it must be proven again, on the authenticator's clock, which is `time.monotonic`."""
    outlives: float
    """When it is worth nothing any more, also while the database is away."""


def store_lookup(store: Store, run: Callable[..., Awaitable[tuple[Token | None, datetime]]]) -> Lookup:
    """Looks tokens up in the store, in the pool that `run` runs functions in."""

    def read(token_id: str) -> tuple[Token | None, datetime]:
        return store.read(lambda reader: (reader.tokens.get(token_id), reader.now))

    def lookup(token_id: str) -> Awaitable[tuple[Token | None, datetime]]:
        return run(read, token_id)

    return lookup


class Authenticator:
    """Proves callers by the token in their metadata.

    Concurrency: event loop only. A token that was revoked may go on for `CACHE_TTL_S`, or for `OUTAGE_S` while the
    database is away, when nobody can revoke one; a token that expires may not.
    """

    def __init__(self, lookup: Lookup, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._metrics = metrics
        self._clock = clock
        self._cache: OrderedDict[bytes, Proof] = OrderedDict()

    def cached(self, values: list[str]) -> Proof | None:
        """The proof, when the token was proven less than `CACHE_TTL_S` ago: no await, no hop."""
        if len(values) != 1:
            return None
        key = _key(values[0])
        entry = self._cache.get(key)
        if entry is None:
            return None
        if entry.until < self._clock():
            return None
        self._cache.move_to_end(key)
        return entry

    async def authenticate(self, values: list[str]) -> Principal:
        """The principal behind these values of the `authorization` header.

        Raises: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED; DATABASE_UNAVAILABLE.
        """
        try:
            return await self._prove(values)
        except RegistryError as error:
            if error.reason is Reason.DATABASE_UNAVAILABLE:
                return self._known_before(values[0], error)
            if len(values) == 1:
                self._cache.pop(_key(values[0]), None)
            label = _METRIC_OF.get(error.reason)
            if label:
                self._metrics.auth_failures.labels(label).inc()
            raise

    async def _prove(self, values: list[str]) -> Principal:
        header = _only(values)
        text = parse_token(_bearer(header))
        if text is None:
            raise _invalid()
        token, now = await self._lookup(text.id)
        if token is None or not text.matches(token):
            raise _invalid()
        if token.revoke_time is not None:
            raise RegistryError(Reason.TOKEN_REVOKED, "the token was revoked; get a new one")
        if token.expire_time is not None and token.expire_time <= now:
            raise RegistryError(Reason.TOKEN_EXPIRED, "the token is past its end; get a new one")
        principal = Principal(token.principal, token.id)
        left_s = float("inf") if token.expire_time is None else (token.expire_time - now).total_seconds()
        clock = self._clock()
        self._remember(header, Proof(principal, clock + min(CACHE_TTL_S, left_s), clock + min(OUTAGE_S, left_s)))
        return principal

    def _known_before(self, header: str, error: RegistryError) -> Principal:
        """Who the token was when the database could last be asked."""
        now = self._clock()
        entry = self._cache.get(_key(header))
        if entry is None or entry.outlives < now:
            raise error
        # Not every call should wait for a database that is away.
        self._remember(header, entry._replace(until=min(now + OUTAGE_RECHECK_S, entry.outlives)))
        return entry.principal

    def _remember(self, header: str, entry: Proof) -> None:
        self._cache[_key(header)] = entry
        while len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)


def _key(header: str) -> bytes:
    """What is kept of a header: not the token itself."""
    return hashlib.sha256(header.encode()).digest()


def authorization_of(metadata: Iterable[tuple[str, str | bytes]]) -> list[str]:
    """Every value of the `authorization` header; there must be one."""
    return [value for key, value in metadata if key == HEADER and isinstance(value, str)]


def _only(values: list[str]) -> str:
    if not values:
        raise RegistryError(Reason.TOKEN_MISSING, "send `authorization: Bearer <token>`, e.g. from MREG_TOKEN_FILE")
    if len(values) > 1:
        raise RegistryError(Reason.TOKEN_INVALID, "send exactly one `authorization` header")
    if len(values[0]) > MAX_HEADER_BYTES:
        raise _invalid()
    return values[0]


def _bearer(header: str) -> str:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise RegistryError(Reason.TOKEN_INVALID, "the `authorization` header must be `Bearer <token>`")
    return text


def _invalid() -> RegistryError:
    return RegistryError(Reason.TOKEN_INVALID, "the token is not one of this registry")
