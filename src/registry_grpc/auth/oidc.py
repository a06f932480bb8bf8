"""JWTs of trusted issuers to principals.

An issuer is found by its exact name, and a key among its own by the id: nothing else of a token chooses anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry_grpc.auth.issuer_keys import IssuerKeys
from registry_grpc.auth.jwt_text import ALGORITHMS, JwtText, number, parse_jwt, refuse, shown
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError

LEEWAY_S = 60.0
"""How far clocks may be apart."""
MAX_NAME = 200
MAX_GROUPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """Whom tokens are believed from, and what is taken from them."""

    id: str
    """Stands in the names of its users and groups."""
    url: str
    """What `iss` must be, to the letter."""
    audience: str
    """What `aud` must be, or have."""
    extra_audiences: bool = False
    """Whether a token may be for others too. Each of those could come here with it."""
    username_claim: str = "sub"
    groups_claim: str | None = None
    algorithms: frozenset[str] = ALGORITHMS


class OidcVerifier:
    """Proves JWTs. Concurrency: event loop only; a signature is checked on the loop, which takes about 0.1 ms."""

    def __init__(
        self, issuers: Sequence[tuple[TrustedIssuer, IssuerKeys]], wall: Callable[[], float] = time.time
    ) -> None:
        self._issuers = {issuer.url: (issuer, keys) for issuer, keys in issuers}
        self._wall = wall

    async def verify(self, text: str) -> Principal:
        """Whose token this is: `user:{issuer}/{name}` with its groups, until the token ends.

        Raises: TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE.
        """
        token = parse_jwt(text)
        issuer, keys = self._issuer_of(token)
        if token.algorithm not in issuer.algorithms:
            refuse(f"issuer {issuer.id!r} does not use {token.algorithm}; see its `algorithms`")
        # Before the signature, because it is cheaper; nothing that follows from it is told to others.
        _check_audience(token.claims, issuer)
        end = self._check_times(token.claims)
        await keys.check(token)
        return _principal(token.claims, issuer, end)

    def _issuer_of(self, token: JwtText) -> tuple[TrustedIssuer, IssuerKeys]:
        name = token.claims.get("iss")
        found = self._issuers.get(name) if isinstance(name, str) else None
        if found is None:
            refuse(f"its issuer {shown(name)} is not trusted here; trusted are those in `issuers` of the server")
        return found

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now = self._wall()
        end = number(claims, "exp")
        if end is None:
            refuse("it has no exp, so it would never end")
        for name in ("nbf", "iat"):
            begin = number(claims, name)
            if begin is not None and begin > now + LEEWAY_S:
                refuse(f"its {name} is {begin - now:.0f} s ahead of this server's clock, {LEEWAY_S:g} s is the most")
        if end <= now - LEEWAY_S:
            raise RegistryError(Reason.TOKEN_EXPIRED, "the token is past its end; get a new one")
        return end


def _check_audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> None:
    """Raises: TOKEN_INVALID."""
    given = claims.get("aud")
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        refuse("its aud is no text and no list of texts")
    if issuer.audience not in listed:
        refuse(f"its aud is {shown(given)} and lacks {issuer.audience!r}; ask the issuer for a token for this registry")
    if not issuer.extra_audiences and set(listed) != {issuer.audience}:
        refuse(
            f"its aud names others beside {issuer.audience!r}, who could use it here; ask the issuer for a token for "
            "this registry alone, or set extra_audiences of the issuer to allow"
        )


def _principal(claims: Mapping[str, Any], issuer: TrustedIssuer, end: float) -> Principal:
    if "cnf" in claims:
        refuse("it is bound to a key by cnf, which is not checked here; get a plain bearer token")
    name = _name(claims.get(issuer.username_claim), issuer.username_claim)
    if issuer.username_claim == "email" and claims.get("email_verified") is not True:
        refuse("its email is not verified by the issuer; email_verified must be true")
    groups: Any = claims.get(issuer.groups_claim, []) if issuer.groups_claim else []
    if not isinstance(groups, list) or len(groups) > MAX_GROUPS:
        refuse(f"its {issuer.groups_claim} is no list of at most {MAX_GROUPS} groups")
    return Principal(
        f"user:{issuer.id}/{name}",
        groups=tuple(f"group:{issuer.id}/{_name(each, str(issuer.groups_claim))}" for each in groups),
        method="oidc",
        expire_time=datetime.fromtimestamp(end, UTC),
    )


def _name(value: object, claim: str) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_NAME
        or not value.isprintable()
        or value != value.strip()
    ):
        refuse(f"its {claim} is {shown(value)}; it must be 1 to {MAX_NAME} printable characters")
    return value
