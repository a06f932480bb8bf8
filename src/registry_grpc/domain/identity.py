"""Access tokens: their text form, and what is kept of them.

Form: `mreg_` + 12 characters of public id + 43 characters of secret (256 bits) + 6 characters of CRC32, base 62.
Source: GitHub's token format (prefix for secret scanners, checksum so that scanners have no false positives).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from datetime import datetime

PREFIX = "mreg_"
ID_LENGTH = 12
SECRET_LENGTH = 43
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{ID_LENGTH}}})([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{6}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token."""

    id: str
    secret_hash: bytes = b""
    """SHA-256 of the secret. 256 random bits need no slow hash. Never in an event: empty there."""
    principal: str
    description: str = ""
    creator: str = ""
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    revision: int = 0
    """Revision of the last change; 0 for the token made at the first start."""


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parts of a token as its holder has it. Never logged."""

    id: str
    secret: str

    def __str__(self) -> str:
        """The text to hand to its holder."""
        body = self.id + self.secret
        return f"{PREFIX}{body}{_checksum(body)}"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"TokenText(id={self.id!r})"

    def hash(self) -> bytes:
        """What is kept of the secret."""
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, token: Token) -> bool:
        """Whether this is the token kept, in time that tells nothing about the secret."""
        return hmac.compare_digest(self.hash(), token.secret_hash)


def parse_token(text: str) -> TokenText | None:
    """The parts of `text`, or None when it is no token of this form."""
    match = _FORM.fullmatch(text)
    if match is None or match[3] != _checksum(match[1] + match[2]):
        return None
    return TokenText(match[1], match[2])


def token_text(id_bytes: bytes, secret_bytes: bytes) -> TokenText:
    """A token made of 9 and 32 random bytes."""
    return TokenText(_base62(id_bytes, ID_LENGTH), _base62(secret_bytes, SECRET_LENGTH))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()).to_bytes(4, "big"), 6)


def _base62(data: bytes, length: int) -> str:
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
