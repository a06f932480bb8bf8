"""Authorities and certificates for TLS tests, made in this process."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            _builder(self._name, self._name, self._key, dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def identity(
        self,
        *names: str,
        lasts: dt.timedelta = dt.timedelta(days=1),
        began: dt.timedelta | None = None,
    ) -> Identity:
        """A certificate with these `uri:…`, `dns:…` and `ip:…` names; `began` is how long ago it starts."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
        builder = _builder(subject, self._name, key, lasts, began or dt.timedelta(hours=1))
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), critical=False
            )
        signed = builder.sign(self._key, hashes.SHA256())
        return Identity(
            signed.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def put(path: Path, data: bytes) -> Path:
    """As a secret is mounted: the new file takes the name in one step."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_bytes(data)
    unfinished.replace(path)
    return path


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lasts: dt.timedelta,
    began: dt.timedelta = dt.timedelta(hours=1),
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - began)
        .not_valid_after(now + lasts)
    )


def _general(name: str) -> x509.GeneralName:
    kind, _, value = name.partition(":")
    if kind == "uri":
        return x509.UniformResourceIdentifier(value)
    return x509.DNSName(value) if kind == "dns" else x509.IPAddress(ipaddress.ip_address(value))
