"""Keys and JWTs made by hand, so that a test can make those no issuer would."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

_ALGORITHMS = get_default_algorithms()
_LOADERS = {
    rsa.RSAPrivateKey: _ALGORITHMS["RS256"],
    ec.EllipticCurvePrivateKey: _ALGORITHMS["ES256"],
    ed25519.Ed25519PrivateKey: _ALGORITHMS["EdDSA"],
}
DROPPED: Any = object()
"""As the value of a claim or header field: not there."""


def encoded(data: bytes | str | dict[str, Any]) -> str:
    """base64url of bytes, a text, or JSON."""
    if isinstance(data, dict):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class SigningKey:
    """A private key with its id."""

    id: str
    key: Any = field(repr=False)

    @property
    def public(self) -> Any:
        return self.key.public_key()

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public half, as it is published."""
        loader = next(each for kind, each in _LOADERS.items() if isinstance(self.key, kind))
        values = loader.to_jwk(self.public, as_dict=True) | {"kid": self.id, "use": "sig"} | changes
        return {name: value for name, value in values.items() if value is not DROPPED}

    def sign(self, algorithm: str, message: bytes) -> bytes:
        return _ALGORITHMS[algorithm].sign(message, self.key)


def rsa_key(key_id: str = "rsa", bits: int = 2048) -> SigningKey:
    return SigningKey(key_id, rsa.generate_private_key(65537, bits))


def ec_key(key_id: str = "ec", curve: ec.EllipticCurve | None = None) -> SigningKey:
    return SigningKey(key_id, ec.generate_private_key(curve or ec.SECP256R1()))


def ed_key(key_id: str = "ed") -> SigningKey:
    return SigningKey(key_id, ed25519.Ed25519PrivateKey.generate())


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.jwk() for key in keys]}).encode()


@dataclass(frozen=True)
class Forger:
    """Makes tokens as an issuer with this key would, changed as a test wishes."""

    issuer: str
    audience: str
    key: SigningKey
    algorithm: str = "RS256"

    def header(self, **changes: Any) -> dict[str, Any]:
        values = {"alg": self.algorithm, "kid": self.key.id, "typ": "JWT"} | changes
        return {name: value for name, value in values.items() if value is not DROPPED}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        values = {"iss": self.issuer, "aud": self.audience, "sub": "ada", "iat": now, "exp": now + 300} | changes
        return {name: value for name, value in values.items() if value is not DROPPED}

    def token(self, header: dict[str, Any] | None = None, *, key: SigningKey | None = None, **claims: Any) -> str:
        """A token with this key's signature, or that of `key`."""
        return self.signed(encoded(self.header(**(header or {}))), encoded(self.claims(**claims)), key)

    def signed(self, header: str, payload: str, key: SigningKey | None = None) -> str:
        """A token of parts as they are."""
        message = f"{header}.{payload}".encode()
        return f"{header}.{payload}.{encoded((key or self.key).sign(self.algorithm, message))}"
