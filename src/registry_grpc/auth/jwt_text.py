"""The text of a JWT taken apart, bounded and strict, before anything is believed. Checks no signature.

Source: RFC 7515, 7519 and 8725, and the advisories about PyJWT and Authlib: `crit` taken for nothing, `b64`, headers of
megabytes, keys that the token brings along.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from registry_grpc.domain.errors import Reason, RegistryError

MAX_TOKEN_BYTES = 8 * 1024
MAX_HEADER_BYTES = 2 * 1024
MAX_KEY_ID = 256
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Signatures by a key that only the issuer has. No `none`, and no HMAC: its key would be the public one."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
"""Of `typ`, when there is one: a logout or security event token is signed by the same keys."""
_HEADERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
"""Anything else either names a key to trust, or asks for rules that would have to be known."""
_PART = re.compile(r"[A-Za-z0-9_-]+")
_END_OF_TIME = 253_402_300_799


class JwtText(NamedTuple):
    """The parts of one token."""

    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any]
    signed: bytes
    """What the signature is over."""
    signature: bytes


def refuse(why: str) -> NoReturn:
    """Raises: TOKEN_INVALID."""
    raise RegistryError(Reason.TOKEN_INVALID, f"the JWT is refused: {why}")


def parse_jwt(text: str) -> JwtText:
    """The parts of `text`.

    Raises: TOKEN_INVALID.
    """
    if len(text) > MAX_TOKEN_BYTES:
        refuse(f"it has {len(text)} bytes, {MAX_TOKEN_BYTES} is the most; ask the issuer for fewer claims")
    parts = text.split(".")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):  # noqa: PLR2004 - header, claims, signature
        refuse("it is not three parts of base64url")
    if len(parts[0]) > MAX_HEADER_BYTES:
        refuse(f"its header has {len(parts[0])} bytes, {MAX_HEADER_BYTES} is the most")
    header = _object(parts[0], "header")
    algorithm = _algorithm(header)
    return JwtText(
        algorithm,
        _key_id(header),
        _object(parts[1], "payload"),
        text.rpartition(".")[0].encode("ascii"),
        _decoded(parts[2], "signature"),
    )


def _algorithm(header: Mapping[str, Any]) -> str:
    """The algorithm, once the whole header is one we take."""
    strange = sorted(set(header) - _HEADERS)
    if strange:
        refuse(f"its header has {shown(strange[0])}, which is not taken: no key and no rule comes from a token")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        refuse(f"its typ is {shown(kind)}; an access or id token has JWT or at+jwt")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        refuse(f"its alg is {shown(algorithm)}; taken are {', '.join(sorted(ALGORITHMS))}")
    return algorithm


def _key_id(header: Mapping[str, Any]) -> str | None:
    if "kid" not in header:
        return None
    key_id = header["kid"]
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID:
        refuse(f"its kid is no text of 1 to {MAX_KEY_ID} characters")
    return key_id


def number(claims: Mapping[str, Any], name: str) -> float | None:
    """A claim that is a time, seconds since the epoch; None when it is not there.

    Raises: TOKEN_INVALID.
    """
    if name not in claims:
        return None
    value = claims[name]
    # bool is a number to Python.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _END_OF_TIME:
        refuse(f"its {name} is no number of seconds since 1970")
    return float(value)


def shown(value: object) -> str:
    """Something of a token that nobody vouches for yet, short and printable."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "…"  # noqa: PLR2004 - as wide as a line


def _object(part: str, what: str) -> dict[str, Any]:
    data = _decoded(part, what)
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError):
        refuse(f"its {what} is no JSON object of plain values with names that differ")
    if not isinstance(found, dict):
        refuse(f"its {what} is no JSON object")
    return found


def _decoded(part: str, what: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        refuse(f"its {what} is no base64url")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of a name that is there twice may see two values."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
