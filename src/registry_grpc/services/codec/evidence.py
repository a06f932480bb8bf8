"""Trusted signers, signatures and evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.evidence import EvidenceKind, EvidenceOutcome, Verdict
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.times import optional_time_from_wire, optional_time_to_wire, time_to_wire
from registry_grpc.v1 import evidence_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from registry_grpc.domain.evidence import Evidence, ModelSignature, TrustedSigner

KIND = EnumCodec(EvidenceKind, evidence_pb2.EvidenceKind, "EVIDENCE_KIND_")
OUTCOME = EnumCodec(EvidenceOutcome, evidence_pb2.EvidenceOutcome, "EVIDENCE_OUTCOME_")
VERDICT = EnumCodec(Verdict, evidence_pb2.ModelSignature.Verdict, "VERDICT_")


def signer_to_wire(signer: TrustedSigner) -> evidence_pb2.TrustedSigner:
    """The resource."""
    return evidence_pb2.TrustedSigner(
        name=str(signer.name),
        uid=signer.uid,
        display_name=signer.display_name,
        public_key=signer.public_key,
        certificate_authorities=signer.certificate_authorities,
        certificate_identity=signer.certificate_identity,
        key_id=signer.key_id,
        create_time=time_to_wire(signer.create_time),
        creator=signer.creator,
        delete_time=optional_time_to_wire(signer.delete_time),
        etag=signer.etag,
        revision=signer.revision,
    )


def signature_to_wire(signature: ModelSignature) -> evidence_pb2.ModelSignature:
    """The resource, with its bundle where there is one."""
    return evidence_pb2.ModelSignature(
        name=str(signature.name),
        verdict=VERDICT.to_wire(signature.verdict),
        failure=signature.failure,
        trusted_signer=signature.trusted_signer,
        signer=signature.signer,
        bundle_sha256=signature.bundle_sha256,
        bundle=signature.bundle,
        manifest_digest=signature.manifest_digest,
        create_time=time_to_wire(signature.create_time),
        creator=signature.creator,
        revision=signature.revision,
    )


def evidence_to_wire(evidence: Evidence) -> evidence_pb2.Evidence:
    """The resource."""
    return evidence_pb2.Evidence(
        name=str(evidence.name),
        kind=KIND.to_wire(evidence.kind),
        tool=evidence.tool,
        tool_version=evidence.tool_version,
        outcome=OUTCOME.to_wire(evidence.outcome),
        summary=evidence.summary,
        findings=evidence.findings,
        manifest_digest=evidence.manifest_digest,
        report_sha256=evidence.report_sha256,
        report_uri=evidence.report_uri,
        run_time=time_to_wire(evidence.run_time),
        annotations=evidence.annotations,
        reporter=evidence.reporter,
        create_time=time_to_wire(evidence.create_time),
        revision=evidence.revision,
    )


_EVIDENCE: dict[str, Callable[[evidence_pb2.Evidence, str], Any]] = {
    "kind": lambda message, path: KIND.from_wire(message.kind, path),
    "tool": lambda message, _: message.tool,
    "tool_version": lambda message, _: message.tool_version,
    "outcome": lambda message, path: OUTCOME.from_wire(message.outcome, path),
    "summary": lambda message, _: message.summary,
    "findings": lambda message, _: message.findings,
    "manifest_digest": lambda message, _: message.manifest_digest,
    "report_sha256": lambda message, _: message.report_sha256,
    "report_uri": lambda message, _: message.report_uri,
    "run_time": lambda message, path: optional_time_from_wire(message, "run_time", path.rpartition(".")[0]),
    "annotations": lambda message, _: dict(message.annotations),
}


def evidence_fields(message: evidence_pb2.Evidence, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `Evidence`, of those in `fields` that a caller may set."""
    return changes_of(_EVIDENCE, message, fields, "evidence")
