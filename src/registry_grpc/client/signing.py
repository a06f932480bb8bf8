"""Making OpenSSF Model Signing bundles from digests: the bytes of the files are not looked at.

It needs `registry-grpc[signing]`.
The bundles are those of `model_signing sign key` and `sign certificate`, which can be verified by that package too.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from registry_grpc.client.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"


def make_bundle(
    name: str,
    files: Mapping[str, str],
    key: str | Path,
    *,
    password: str | None = None,
    certificates: str | Path | None = None,
) -> bytes:
    """A bundle, JSON, that says that `name` has exactly these files (path to SHA-256, hex).

    `key` is a private key in PEM; `certificates` a file with the signing certificate and those between it and an
    authority, in this order. Without them it is a bundle of the bare key.

    Raises: InvalidArgument for a key or certificate that cannot be used.
    """
    private = _private_key(Path(key), password)
    chain = _certificates(Path(certificates), private) if certificates is not None else []
    payload = _statement(name, files)
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(_sign(private, _signed(payload))), "keyid": ""}],
    }
    material = {"x509CertificateChain": {"certificates": chain}} if chain else {"publicKey": {"hint": _hint(private)}}
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def _statement(name: str, files: Mapping[str, str]) -> bytes:
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in sorted(files)]
    root = hashlib.sha256(b"".join(bytes.fromhex(files[path]) for path in sorted(files))).hexdigest()
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": resources,
        },
    }
    return json.dumps(statement, indent=2).encode()


def _signed(payload: bytes) -> bytes:
    """The bytes that are signed. Source: DSSE v1.0, PAE."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}") from error


def _private_key(path: Path, password: str | None) -> PrivateKey:
    """Never says what is in the file."""
    try:
        key = serialization.load_pem_private_key(_read(path), password.encode() if password else None)
    except TypeError:
        said = "needs no password" if password else "needs a password"
        raise InvalidArgument(f"the key {path} {said}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidArgument(f"{path} holds no private key in PEM, or its password is another one") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, (ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)):
        return key
    raise InvalidArgument(f"{path} holds a key of a kind that cannot sign; use ECDSA P-256, Ed25519 or RSA")


def _sign(key: PrivateKey, signed: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(signed, ec.ECDSA(_CURVES[key.curve.name]))
    return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def _hint(key: PrivateKey) -> str:
    """What a bundle says of its key: SHA-256 of the public key in PEM."""
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _certificates(path: Path, key: PrivateKey) -> list[dict[str, str]]:
    try:
        chain = x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise InvalidArgument(f"{path} holds no certificates in PEM") from None
    if chain[0].public_key() != key.public_key():
        raise InvalidArgument(f"the first certificate of {path} is not that of the key; put it first")
    return [{"rawBytes": _base64(each.public_bytes(serialization.Encoding.DER))} for each in chain]
