"""When a certificate ends. The standard library does not say it of a certificate of our own, so this reads DER."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION = 0xA0
_FORMATS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def expiry_of(pem: bytes) -> float:
    """End of the first certificate in `pem`, seconds since the epoch.

    Raises: ValueError when there is none, or it is broken.
    """
    found = _BLOCK.search(pem)
    if found is None:
        raise ValueError("the file holds no certificate")
    der = ssl.PEM_cert_to_DER_cert(found.group().decode("ascii"))
    _, certificate, _ = _element(der, 0)
    _, signed, _ = _element(certificate, 0)
    # version (optional), serial number, algorithm, issuer, and then validity: notBefore, notAfter.
    fields: list[tuple[int, bytes]] = []
    at = 0
    while at < len(signed) and len(fields) < 5:  # noqa: PLR2004 - as far as the validity
        tag, content, at = _element(signed, at)
        fields.append((tag, content))
    validity = fields[4 if fields[0][0] == _VERSION else 3][1]
    _, _, second = _element(validity, 0)
    tag, text, _ = _element(validity, second)
    if tag not in _FORMATS:
        raise ValueError("the certificate has no end that can be read")
    return datetime.strptime(text.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC).timestamp()


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the element at `at`, and where the next one begins."""
    try:
        tag, length, begin = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, begin = int.from_bytes(der[begin : begin + size]), begin + size
    except IndexError:
        raise ValueError("the certificate is cut short") from None
    if begin + length > len(der):
        raise ValueError("the certificate is cut short")
    return tag, der[begin : begin + length], begin + length
