"""Reading a bundle: Sigstore bundle v0.3 in JSON around a DSSE envelope.

Strict where a lenient reader and another one could see two different things: keys that come twice, base64 that is not
canonical, several signatures. What is no bundle at all is refused; what is a broken one is a verdict.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.evidence import MAX_BUNDLE_BYTES

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_CERTIFICATES = 10
_SHOWN = 80


class BrokenBundleError(Exception):
    """A bundle that signs nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds; nothing of it is verified yet."""

    payload: bytes
    signature: bytes
    key_hint: str
    """SHA-256 of the signer's public key in PEM, hex; empty when the bundle does not say."""
    certificates: tuple[bytes, ...]
    """DER, the signing certificate first; empty in key mode."""

    @property
    def signed(self) -> bytes:
        """The bytes that are signed. Source: DSSE v1.0, PAE."""
        return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(self.payload), self.payload)


def shown(value: object) -> str:
    """`value` in an error: short, and whatever it holds, ASCII."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def strict_json(data: bytes) -> tuple[Any, str]:
    """The value, and the first key that comes twice in one object, empty for none.

    Raises: ValueError for anything that is not JSON in UTF-8.
    """
    twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in items:
            if key in made:
                twice.append(key)
            made[key] = value
        return made

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=_no_constant)
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None
    return value, twice[0] if twice else ""


def _no_constant(name: str) -> None:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def require_bundle(data: bytes) -> None:
    """Return for what looks like a bundle, broken or not.

    Raises: INVALID_FIELD.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise invalid_field("bundle", f"is {len(data)} bytes long; the limit is {MAX_BUNDLE_BYTES}")
    _document(data)


def read_bundle(data: bytes) -> Bundle:
    """Raises: BrokenBundleError; INVALID_FIELD as `require_bundle`."""
    document, twice = _document(data)
    if twice:
        raise BrokenBundleError(f"the bundle has the key {shown(twice)} twice in one object")
    if document["mediaType"] != MEDIA_TYPE:
        raise BrokenBundleError(f"the bundle has the mediaType {shown(document['mediaType'])}, not {MEDIA_TYPE}")
    payload, signature = _envelope(document["dsseEnvelope"])
    hint, certificates = _material(document["verificationMaterial"])
    return Bundle(payload, signature, hint, certificates)


def _document(data: bytes) -> tuple[dict[str, Any], str]:
    try:
        document, twice = strict_json(data)
    except ValueError as error:
        raise invalid_field("bundle", f"is no JSON: {shown(str(error))}; send the file that the signer wrote") from None
    wanted = ("mediaType", "verificationMaterial", "dsseEnvelope")
    if not isinstance(document, dict) or not all(key in document for key in wanted):
        raise invalid_field("bundle", f"is no signature bundle: it needs {', '.join(wanted)}")
    return document, twice


def _envelope(envelope: object) -> tuple[bytes, bytes]:
    """The payload and its signature."""
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise BrokenBundleError("dsseEnvelope must have payload, payloadType and signatures, and nothing else")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise BrokenBundleError(f"the payloadType is {shown(envelope['payloadType'])}, not {PAYLOAD_TYPE}")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        many = len(signatures) if isinstance(signatures, list) else "no list of"
        raise BrokenBundleError(f"the envelope has {many} signatures; it must have one")
    (signature,) = signatures
    if not isinstance(signature, dict) or "sig" not in signature or not set(signature) <= {"sig", "keyid"}:
        raise BrokenBundleError("a signature must have sig, perhaps keyid, and nothing else")
    return _base64(envelope["payload"], "payload"), _base64(signature["sig"], "sig")


def _material(material: object) -> tuple[str, tuple[bytes, ...]]:
    """The hint at the key, or the certificates."""
    if not isinstance(material, dict):
        raise BrokenBundleError("verificationMaterial is no object")
    kinds = sorted(set(material) & {"publicKey", "x509CertificateChain", "certificate"})
    if kinds == ["publicKey"]:
        key = material["publicKey"]
        hint = key.get("hint") if isinstance(key, dict) else 0
        if not isinstance(hint, str | None):
            raise BrokenBundleError("publicKey.hint is no text")
        return hint or "", ()
    if kinds == ["x509CertificateChain"]:
        return "", _certificates(material["x509CertificateChain"])
    if kinds == ["certificate"]:
        raise BrokenBundleError("it is signed with a Sigstore identity; sign with a key or a certificate chain")
    raise BrokenBundleError("verificationMaterial must have either publicKey or x509CertificateChain")


def _certificates(chain: object) -> tuple[bytes, ...]:
    found = chain.get("certificates") if isinstance(chain, dict) else None
    if not isinstance(found, list) or not 0 < len(found) <= MAX_CERTIFICATES:
        raise BrokenBundleError(f"x509CertificateChain must have 1 to {MAX_CERTIFICATES} certificates")
    return tuple(_base64(each.get("rawBytes") if isinstance(each, dict) else None, "rawBytes") for each in found)


def _base64(text: object, what: str) -> bytes:
    """The bytes of canonical base64: one text for one value."""
    if isinstance(text, str):
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if data and base64.b64encode(data).decode() == text:
            return data
    raise BrokenBundleError(f"{what} is no canonical base64")
