"""What a call brings to say who it is: values of its `authorization` header, and the names in its certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from registry_grpc.domain.errors import Reason, RegistryError

HEADER = "authorization"
MAX_HEADER_BYTES = 8 * 1024
_SHOWN_NAMES = 5
_SHOWN_CHARS = 100


class Certificate(NamedTuple):
    """A client certificate that the handshake proved."""

    names: tuple[str, ...]
    """Its subject alternative names: `uri:…` and `dns:…`."""
    expires: float
    """Seconds since the epoch."""

    def __str__(self) -> str:
        """The names for people, bounded: whoever issued the certificate chose them."""
        shown = ", ".join(ascii(name[:_SHOWN_CHARS]) for name in self.names[:_SHOWN_NAMES])
        more = len(self.names) - _SHOWN_NAMES
        return (shown or "no URI and no DNS name") + (f" and {more} more" if more > 0 else "")


class Credentials(NamedTuple):
    """Of one call. A header wins over the certificate."""

    authorization: Sequence[str] = ()
    """Every value of the header; there must be one, unless there is a certificate."""
    certificate: Certificate | None = None


def authorization_of(metadata: Iterable[tuple[str, str | bytes]]) -> list[str]:
    """Every value of the `authorization` header."""
    return [value for key, value in metadata if key == HEADER and isinstance(value, str)]


def header_key(header: str) -> bytes:
    """What is kept of a header: not the token itself."""
    return hashlib.sha256(header.encode()).digest()


def only(values: Sequence[str]) -> str:
    """The one value.

    Raises: TOKEN_MISSING; TOKEN_INVALID when there are several, or it is longer than `MAX_HEADER_BYTES`.
    """
    if not values:
        raise RegistryError(Reason.TOKEN_MISSING, "send `authorization: Bearer <token>`, e.g. from MREG_TOKEN_FILE")
    if len(values) > 1:
        raise RegistryError(Reason.TOKEN_INVALID, "send exactly one `authorization` header")
    if len(values[0]) > MAX_HEADER_BYTES:
        raise not_ours()
    return values[0]


def bearer(header: str) -> str:
    """The token in a header.

    Raises: TOKEN_INVALID.
    """
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise RegistryError(Reason.TOKEN_INVALID, "the `authorization` header must be `Bearer <token>`")
    return text


def not_ours() -> RegistryError:
    """The one error for every token that is not, or not quite, one of ours."""
    return RegistryError(Reason.TOKEN_INVALID, "the token is not one of this registry")
