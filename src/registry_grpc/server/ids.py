"""Identifiers from the operating system's randomness."""

from __future__ import annotations

import secrets
import uuid

from registry_grpc.domain.identity import TokenText, token_text


class RandomIds:
    """Random identifiers."""

    def uuid(self) -> str:
        """A random UUID (version 4)."""
        return str(uuid.uuid4())

    def object_key(self) -> str:
        """A random key; its first two characters spread the objects over 256 directories or prefixes."""
        key = uuid.uuid4().hex
        return f"{key[:2]}/{key}"


def new_token_text() -> TokenText:
    """A token nobody has."""
    return token_text(secrets.token_bytes(9), secrets.token_bytes(32))
