"""Bundles of OpenSSF Model Signing: good ones, and every way to spoil one."""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VECTORS = Path(__file__).parents[1] / "conformance" / "model_signing"
"""Bundles that the reference implementation made; see the README there."""
PUBLIC_KEY = (VECTORS / "keys" / "signing-key-pub.pem").read_text()
BROKEN_BUNDLE = b'{"mediaType": "", "verificationMaterial": {}, "dsseEnvelope": {}}'
"""What looks like a bundle and signs nothing."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Signer:
    """A key that signs, and whatever a test wants it to."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public(self) -> str:
        """The public key, PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def private(self) -> bytes:
        """The private key, PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> str:
        """The signature of a DSSE payload, base64."""
        kind = payload_type.encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        return base64.b64encode(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))).decode()

    def bundle(
        self,
        files: Mapping[str, str],
        *,
        change: Change = lambda _: None,
        after: Change = lambda _: None,
        payload: Callable[[bytes], bytes] = lambda text: text,
        material: dict[str, Any] | None = None,
    ) -> bytes:
        """A bundle of these files (path to SHA-256): `change` spoils the statement, `payload` its text, both before it
        is signed; `after` spoils the bundle.
        """
        statement = statement_of(files)
        change(statement)
        text = payload(json.dumps(statement).encode())
        hint = hashlib.sha256(self.public.encode()).hexdigest()
        made = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": deepcopy(material) or {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(text).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": self.sign(text), "keyid": ""}],
            },
        }
        after(made)
        return json.dumps(made).encode()


def statement_of(files: Mapping[str, str]) -> dict[str, Any]:
    """An in-toto statement of these files."""
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in sorted(files)]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root_of(resources)}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": resources,
        },
    }


def root_of(resources: list[dict[str, str]]) -> str:
    """The digest of the subject."""
    return hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()


def resign(statement: dict[str, Any]) -> None:
    """Make the subject fit the resources again."""
    statement["subject"][0]["digest"]["sha256"] = root_of(statement["predicate"]["resources"])


@dataclass(frozen=True)
class Chain:
    """A signing key with its certificates, and the authority they lead to, all PEM."""

    key: bytes
    certificates: bytes
    root: str


def issued(
    *,
    between: int = 0,
    sent: int | None = None,
    with_root: bool = False,
    purpose: str = "usage",
    authority: bool = True,
    began: dt.timedelta = dt.timedelta(hours=1),
    lasts: dt.timedelta = dt.timedelta(days=2),
) -> Chain:
    """A certificate of `spiffe://ci/train` and `ci@example.com`, `between` authorities below a root of its own.

    Of those `sent` come along, else all; without `authority` they are no authorities. `purpose` is `usage` for
    digitalSignature, `code` for codeSigning, or empty.
    """
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(between + 2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {at}")]) for at in range(between + 2)]
    made = []
    for at, key in enumerate(keys):
        above = max(at - 1, 0)
        last = at == between + 1
        now = dt.datetime.now(dt.UTC)
        begins = now - (began if last else dt.timedelta(days=9))
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[at])
            .issuer_name(names[above])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + lasts if last else now + dt.timedelta(days=9))
        )
        made.append(
            _extended(builder, last=last, ca=at == 0 or authority, purpose=purpose).sign(keys[above], hashes.SHA256())
        )
    pem = [each.public_bytes(serialization.Encoding.PEM) for each in made]
    along = list(reversed(pem[1:-1]))[: between if sent is None else sent]
    private = Signer(keys[-1]).private
    return Chain(private, b"".join([pem[-1], *along, *([pem[0]] if with_root else [])]), pem[0].decode())


def _extended(builder: x509.CertificateBuilder, *, last: bool, ca: bool, purpose: str) -> x509.CertificateBuilder:
    if not last:
        return builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    names = [x509.UniformResourceIdentifier("spiffe://ci/train"), x509.RFC822Name("ci@example.com")]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purpose == "usage":
        off = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"), False
        )
        allowed = x509.KeyUsage(digital_signature=True, crl_sign=False, encipher_only=False, decipher_only=False, **off)
        builder = builder.add_extension(allowed, critical=True)
    if purpose == "code":
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return builder
