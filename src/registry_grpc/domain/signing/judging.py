"""The verdict on a bundle: does it sign exactly these files, and is the signer trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.evidence import TrustedSigner, Verdict
from registry_grpc.domain.signing import keys
from registry_grpc.domain.signing.bundle import BrokenBundleError, Bundle, read_bundle
from registry_grpc.domain.signing.statement import difference, read_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

MAX_FAILURE = 500


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of verifying a bundle."""

    verdict: Verdict
    failure: str = ""
    """Why it is not VALID; at most `MAX_FAILURE` characters."""
    by: TrustedSigner | None = None
    """Whose it is, when it is VALID."""
    signer: str = ""
    """`key:` and the key id, or an identity of the certificate; empty when that is not known."""


def judge(data: bytes, files: Mapping[str, str], signers: Sequence[TrustedSigner], at: datetime) -> Judgement:
    """The verdict on a bundle for `files` (path to SHA-256, hex). Certificates must be valid at `at`.

    Raises: INVALID_FIELD for what is no bundle.
    """
    try:
        bundle = read_bundle(data)
        found = _judge_certificate(bundle, signers, at) if bundle.certificates else _judge_key(bundle, signers)
        if found.verdict is Verdict.FAILED:
            return found
        fault = difference(read_statement(bundle.payload), files)
    except BrokenBundleError as broken:
        return _failed(str(broken))
    return _failed(fault, found.signer) if fault else found


def _failed(failure: str, signer: str = "") -> Judgement:
    return Judgement(Verdict.FAILED, failure[:MAX_FAILURE], signer=signer)


def _judge_key(bundle: Bundle, signers: Sequence[TrustedSigner]) -> Judgement:
    """A bundle holds no key: without a trusted one that fits it, nothing can be said about its signature."""
    known = [(each, keys.load_key(each.public_key)) for each in signers if each.public_key]
    for signer, key in known:
        name = f"key:{keys.key_id(key)}"
        hinted = bundle.key_hint == keys.hint_of(key)
        if bundle.key_hint and not hinted:
            continue
        if keys.verifies(key, bundle.signature, bundle.signed):
            return Judgement(Verdict.VALID, by=signer, signer=name)
        if hinted:
            return _failed(f"the signature is not one by the key of {signer.name}, which the bundle names", name)
    wanted = f"the key whose PEM has the SHA-256 {bundle.key_hint[:64]}" if bundle.key_hint else "the key that signed"
    return Judgement(Verdict.UNTRUSTED, f"{ascii(wanted)[1:-1]} is none of a trusted signer")


def _judge_certificate(bundle: Bundle, signers: Sequence[TrustedSigner], at: datetime) -> Judgement:
    try:
        certificate, key = keys.signing_certificate(bundle.certificates[0])
    except ValueError as error:
        return _failed(f"the signing certificate {error}")
    names = keys.identities(certificate)
    if not keys.verifies(key, bundle.signature, bundle.signed):
        return _failed("the signature is not one by the key of the signing certificate", names[0])
    faults = []
    for signer in signers:
        if not signer.certificate_authorities:
            continue
        if signer.certificate_identity and signer.certificate_identity not in names:
            continue
        fault = keys.chain_fault(bundle.certificates, keys.load_certificates(signer.certificate_authorities), at)
        if not fault:
            return Judgement(Verdict.VALID, by=signer, signer=signer.certificate_identity or names[0])
        faults.append(fault)
    failure = f"no trusted signer has authorities and an identity that fit the certificate of {names[0]}"
    if faults:
        failure += f": {ascii(faults[0])[1:-1]}"
    return Judgement(Verdict.UNTRUSTED, failure[:MAX_FAILURE], signer=names[0])


def signer_fields(public_key: str, authorities: str, identity: str) -> dict[str, Any]:
    """What is kept of a signer's key or authorities: the same values, with the key id.

    Raises: INVALID_FIELD.
    """
    if bool(public_key) == bool(authorities):
        raise invalid_field("trusted_signer.public_key", "give either it or certificate_authorities")
    if identity and not authorities:
        raise invalid_field("trusted_signer.certificate_identity", "goes with certificate_authorities only")
    field = "public_key" if public_key else "certificate_authorities"
    try:
        if public_key:
            key = keys.load_key(public_key)
            return {"public_key": keys.pem_of(key), "key_id": keys.key_id(key)}
        keys.load_certificates(authorities)
    except ValueError as error:
        raise invalid_field(f"trusted_signer.{field}", str(error)) from None
    return {"certificate_authorities": authorities, "certificate_identity": identity}
