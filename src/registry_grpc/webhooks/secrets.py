"""Secrets of webhooks: made, kept sealed, and used to sign. Source: standardwebhooks.com, specification 1.0."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
KEY_BYTES = 32
FILE_NAME = "secrets.key"
_NONCE_BYTES = 12
_FORM = b"\x01"
"""First byte of what is kept: AES-256-GCM, a random nonce, then the secret with its tag."""


class SealedSecrets:
    """Implements `ports.webhooks.WebhookSecrets`."""

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes and is the same on every replica."""
        self._cipher = AESGCM(key)

    def new(self) -> str:
        """See the port."""
        return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

    def seal(self, webhook_uid: str, secret: str) -> bytes:
        """See the port."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, secret.encode(), _bound_to(webhook_uid))

    def open(self, webhook_uid: str, sealed: bytes) -> str:
        """See the port."""
        form, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if form != _FORM:
            raise ValueError("the secret is kept in a form this server does not know")
        try:
            return self._cipher.decrypt(nonce, rest, _bound_to(webhook_uid)).decode()
        except InvalidTag:
            raise ValueError("the secret was sealed with another key than that of secrets_key_file") from None


def _bound_to(webhook_uid: str) -> bytes:
    return b"registry-grpc webhook " + webhook_uid.encode()


def signatures(delivery_id: str, timestamp_s: int, body: bytes, keys: Sequence[str]) -> str:
    """The header `webhook-signature`: one signature for each secret that is in force, with spaces between."""
    signed = f"{delivery_id}.{timestamp_s}.".encode() + body
    return " ".join(f"v1,{_signature(key, signed)}" for key in keys)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def read_key(path: Path) -> bytes:
    """The key in a file: 32 bytes in base64, as `openssl rand -base64 32` makes them.

    Raises: ValueError, which shows nothing of it; OSError.
    """
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} must hold {KEY_BYTES} bytes in base64; make them by `openssl rand -base64 32`")
    return key


def own_key(data_dir: Path) -> bytes:
    """The key that an embedded server makes for itself, in `secrets.key` of its data directory.

    Raises: ValueError when the file is broken; OSError.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        unfinished = path.with_name(f"{FILE_NAME}.{os.getpid()}")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    return read_key(path)
