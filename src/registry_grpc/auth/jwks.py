"""The public keys of one issuer, and signatures by them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms

from registry_grpc.auth.jwt_text import ALGORITHMS, JwtText

MAX_BYTES = 256 * 1024
MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT = 1 << 32
"""Longer ones make each check slow."""
_TRIES = 4
"""Keys tried for one token, when several have its id, or it has none."""
_VERIFIERS: Mapping[str, Algorithm] = {
    name: each for name, each in get_default_algorithms().items() if name in ALGORITHMS
}
_LOADERS = {
    ("RSA", ""): "RS256",
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}
"""By `kty` and `crv`."""
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})


class PublicKey(NamedTuple):
    """One key."""

    id: str | None
    algorithms: frozenset[str]
    """What it may be used with: those of its type, or the one it was published for."""
    key: Any


class KeySet:
    """The keys an issuer published, those of them that can be used."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def knows(self, token: JwtText) -> bool:
        """Whether there is a key for this token; a signature by it is another question."""
        return bool(self._candidates(token))

    def verifies(self, token: JwtText) -> bool:
        """Whether one of these keys signed it. About 50 µs for RSA, 100 µs for the others."""
        verifier = _VERIFIERS[token.algorithm]
        return any(_verify(verifier, token, each.key) for each in self._candidates(token)[:_TRIES])

    def _candidates(self, token: JwtText) -> list[PublicKey]:
        """A token without an id may be by any key; one with an id by none but those that have it."""
        return [each for each in self._keys if token.algorithm in each.algorithms and token.key_id in {None, each.id}]


def _verify(verifier: Algorithm, token: JwtText, key: Any) -> bool:  # noqa: ANN401 - a key of one of four types
    try:
        return bool(verifier.verify(token.signed, key, token.signature))
    except (ValueError, jwt.PyJWTError):
        return False


def parse_keys(data: bytes) -> KeySet:
    """The keys in a JWK set. Those that are unknown, weak, or for something else are left out.

    Raises: ValueError when it is no set, or no key of it can be used.
    """
    try:
        found = json.loads(data)
        listed = found["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("it is no JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"its `keys` are no list of at most {MAX_KEYS}")
    keys = [key for each in listed if isinstance(each, dict) and (key := _parse_key(each)) is not None]
    if not keys:
        raise ValueError(
            f"none of its {len(listed)} keys can be used: RSA from {MIN_RSA_BITS} bits, P-256/384/521, Ed25519"
        )
    return KeySet(keys)


def _parse_key(values: dict[str, Any]) -> PublicKey | None:
    uses = values.get("key_ops", ["verify"])
    if values.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    loader = _LOADERS.get((str(values.get("kty")), str(values.get("crv", ""))))
    if loader is None:
        return None
    try:
        # Only the public half, whatever else an issuer may have let slip.
        public = {name: value for name, value in values.items() if name not in {"d", "p", "q", "dp", "dq", "qi", "oth"}}
        key = _VERIFIERS[loader].from_jwk(public)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        return None
    algorithms = _algorithms_of(key)
    if "alg" in values:
        algorithms &= {values["alg"]} if isinstance(values["alg"], str) else frozenset()
    key_id = values.get("kid")
    return PublicKey(key_id if isinstance(key_id, str) else None, algorithms, key) if algorithms else None


def _algorithms_of(key: Any) -> frozenset[str]:  # noqa: ANN401 - a key of any type
    """What a key of this type and size may be used with."""
    if isinstance(key, rsa.RSAPublicKey):
        slow = key.public_numbers().e > MAX_RSA_EXPONENT
        return _RSA if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS and not slow else frozenset()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return frozenset({_CURVES[key.curve.name]}) if key.curve.name in _CURVES else frozenset()
    return frozenset({"EdDSA"}) if isinstance(key, ed25519.Ed25519PublicKey) else frozenset()
