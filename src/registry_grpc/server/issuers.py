"""Trusted issuers of JWTs: their settings, and what proves tokens by them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from registry_grpc.domain.names import is_id
from registry_grpc.server.pools import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.auth.authenticator import JwtVerifier
    from registry_grpc.auth.issuer_keys import FetchReport

MAX_ISSUERS = 16
DAY_S = 86_400.0
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


File = Annotated[Path, BeforeValidator(_expanded)]


class IssuerSettings(BaseModel):
    """One issuer: a table `[[issuers]]` of the file, or an object in the JSON list `MREG_ISSUERS`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    """Stands in the names of its users: `user:{id}/{name}`. Changing it makes them other users."""
    issuer: str
    """Its `iss`, to the letter."""
    audience: str = Field(min_length=1)
    """What its tokens must be for."""
    extra_audiences: Literal["refuse", "allow"] = "refuse"
    """Tokens that are for others too."""
    username_claim: str = Field(default="sub", min_length=1)
    groups_claim: str | None = Field(default=None, min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(default=Algorithm.__args__, min_length=1)  # type: ignore[attr-defined]
    jwks_uri: str | None = None
    jwks_file: File | None = None
    ca_file: File | None = None
    """Authorities of the issuer's certificate; those of the system when unset."""
    token_file: File | None = None
    """A bearer token for reading the keys."""
    keep_keys_s: Annotated[float, Field(ge=60, le=30 * DAY_S)] = DAY_S
    """How long keys are used while the issuer cannot be read."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> Sequence[str]:
        from registry_grpc.auth.documents import is_trustworthy  # noqa: PLC0415 - only who has an issuer needs it

        faults = []
        if not is_id(self.id):
            faults.append(f"id: {self.id!r} is none; it is lower-case letters, digits, '.', '_' and '-', at most 63")
        for name in ("issuer", "jwks_uri"):
            url = getattr(self, name)
            if url is not None and not (is_trustworthy(url) and "?" not in url and "#" not in url):
                faults.append(f"{name}: {url!r} must be https://… without query, or http:// on this machine")
        if self.jwks_uri is not None and self.jwks_file is not None:
            faults.append("jwks_uri and jwks_file: give one of them")
        if self.token_file is not None and self.ca_file is None:
            faults.append("token_file: needs ca_file, so that the token goes to no server but those it proves")
        for name in ("jwks_file", "ca_file", "token_file"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                faults.append(f"{name}: {path} is no file")
        return faults


def _listed(value: object) -> object:
    """The JSON that the environment has."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is no JSON list of issuers: {error}") from None


Issuers = Annotated[tuple[IssuerSettings, ...], BeforeValidator(_listed), Field(max_length=MAX_ISSUERS)]


def issuer_faults(issuers: Sequence[IssuerSettings]) -> list[str]:
    """What is wrong with issuers beside each other."""
    return [
        f"issuers: {name} {value!r} is there twice"
        for name, values in (("id", [each.id for each in issuers]), ("issuer", [each.issuer for each in issuers]))
        for value in sorted({value for value in values if values.count(value) > 1})
    ]


def open_issuers(issuers: Sequence[IssuerSettings], report: FetchReport) -> tuple[JwtVerifier | None, Pool | None]:
    """What proves tokens of these issuers, and the pool it reads their keys in; nothing without issuers."""
    if not issuers:
        return None, None
    from registry_grpc.auth.issuer_keys import IssuerKeys, KeySource  # noqa: PLC0415 - most servers start without
    from registry_grpc.auth.oidc import OidcVerifier, TrustedIssuer  # noqa: PLC0415 - the same

    # A thread for each, so that one issuer that hangs holds up no other.
    pool = Pool("issuers", len(issuers))
    made = []
    for each in issuers:
        source = KeySource(
            issuer=each.issuer,
            jwks_uri=each.jwks_uri,
            jwks_file=each.jwks_file,
            ca_file=each.ca_file,
            token_file=each.token_file,
        )
        trusted = TrustedIssuer(
            id=each.id,
            url=each.issuer,
            audience=each.audience,
            extra_audiences=each.extra_audiences == "allow",
            username_claim=each.username_claim,
            groups_claim=each.groups_claim,
            algorithms=frozenset(each.algorithms),
        )
        made.append((trusted, IssuerKeys(each.id, source.read, partial(pool.run), report, keep_s=each.keep_keys_s)))
    return OidcVerifier(made), pool
