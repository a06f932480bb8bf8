"""Public keys and certificates of signers, and what they verify."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

E = TypeVar("E", bound=x509.ExtensionType)
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_DEPTH = 8
KINDS = f"ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


def load_key(pem: str) -> PublicKey:
    """Raises: ValueError for what is no public key of a kind in `KINDS`; the text never repeats what was given."""
    try:
        found = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        msg = "is no public key in PEM"
        raise ValueError(msg) from None
    return _usable(found)


def _usable(key: object) -> PublicKey:
    """Raises: ValueError."""
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in _HASHES:
            return key
        case ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey() if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return key
    msg = f"is a key of a kind that is not taken; give {KINDS}"
    raise ValueError(msg)


def load_certificates(pem: str) -> Sequence[x509.Certificate]:
    """Raises: ValueError for what holds no certificates."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        msg = "has no certificates in PEM"
        raise ValueError(msg) from None


def pem_of(key: PublicKey) -> str:
    """The key in PEM, written the one way it can be."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo in DER, hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def hint_of(key: PublicKey) -> str:
    """What a bundle says of the key. Source: `model_signing._signing.sign_ec_key`, SHA-256 of the PEM, hex."""
    return hashlib.sha256(pem_of(key).encode()).hexdigest()


def verifies(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether the key made the signature of these bytes. RSA is PKCS #1 v1.5 with SHA-256."""
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, signed, ec.ECDSA(_HASHES[key.curve.name]))
            case rsa.RSAPublicKey():
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            case ed25519.Ed25519PublicKey():
                key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def signing_certificate(der: bytes) -> tuple[x509.Certificate, PublicKey]:
    """The certificate and its key, when it is one to sign with.

    Raises: ValueError.
    """
    certificate = _certificate(der)
    key = _usable(certificate.public_key())
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    signs = usage.digital_signature if usage else False
    if not signs and (purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes):
        msg = "is not for signing: it has neither the usage digitalSignature nor the purpose codeSigning"
        raise ValueError(msg)
    return certificate, key


def _certificate(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Both are read only when they are asked for.
        _ = certificate.extensions, certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        msg = "cannot be read"
        raise ValueError(msg) from None
    return certificate


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def identities(certificate: x509.Certificate) -> Sequence[str]:
    """Its subject alternative names as `uri:…`, `dns:…` and `email:…`; without any its subject as `subject:…`."""
    found = _extension(certificate, x509.SubjectAlternativeName)
    kinds = (("uri", x509.UniformResourceIdentifier), ("dns", x509.DNSName), ("email", x509.RFC822Name))
    names = [f"{word}:{name}" for word, kind in kinds if found for name in found.get_values_for_type(kind)]
    return names or [f"subject:{certificate.subject.rfc4514_string()}"]


def chain_fault(certificates: Sequence[bytes], authorities: Sequence[x509.Certificate], at: datetime) -> str:
    """Why the first certificate does not chain to one of `authorities` at that time; empty when it does."""
    try:
        leaf, *between = (_certificate(der) for der in certificates)
        # What the signer is called, and what its certificate is for, is judged by who asks.
        anything = ExtensionPolicy.permit_all()
        authority = anything.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        builder = PolicyBuilder().store(Store(list(authorities))).time(at).max_chain_depth(MAX_DEPTH)
        verifier = builder.extension_policies(ca_policy=authority, ee_policy=anything).build_client_verifier()
        verifier.verify(leaf, between)
    except VerificationError as error:
        return str(error)
    except ValueError as error:
        return f"a certificate {error}"
    return ""
