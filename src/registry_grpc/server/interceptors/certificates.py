"""The client certificate of a connection, as the handshake left it. Only an `mtls://` listener asks for one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from registry_grpc.auth.credentials import Certificate
from registry_grpc.server.expiry import expiry_of

_PEM = "x509_pem_cert"
_URI = "peer_uri"
_DNS = "peer_dns"


def certificate_of(context: Any) -> Certificate | None:  # noqa: ANN401 - grpc's context has no usable type
    """The certificate the caller of this call connected with; None without one."""
    facts = context.auth_context()
    found = facts.get(_PEM) if facts else None
    if not found:
        return None
    return _certificate(found[0], tuple(facts.get(_URI, ())), tuple(facts.get(_DNS, ())))


@lru_cache(maxsize=1024)
def _certificate(pem: bytes, uris: tuple[bytes, ...], dns: tuple[bytes, ...]) -> Certificate:
    """Read once: every call of a connection brings the same."""
    named = [("uri:", uris), ("dns:", dns)]
    names = [prefix + each.decode("utf-8", "replace") for prefix, values in named for each in values]
    try:
        expires = expiry_of(pem)
    except (ValueError, IndexError):
        # TLS took it, so it has an end; one we cannot read is none we can hold it to.
        expires = 0.0
    return Certificate(tuple(names), expires)
