"""What a table shows of evidence, signatures and trusted signers."""

from __future__ import annotations

from registry_grpc.cli.output import Columns, short_enum, when
from registry_grpc.cli.views import last
from registry_grpc.v1 import evidence_pb2


def kind(evidence: evidence_pb2.Evidence) -> str:
    """`test`, `scan` and so on."""
    return short_enum(evidence_pb2.EvidenceKind, evidence.kind, "EVIDENCE_KIND_")


def outcome(evidence: evidence_pb2.Evidence) -> str:
    """`passed`, `failed` or `inconclusive`."""
    return short_enum(evidence_pb2.EvidenceOutcome, evidence.outcome, "EVIDENCE_OUTCOME_")


def verdict(signature: evidence_pb2.ModelSignature) -> str:
    """`valid`, `untrusted` or `failed`."""
    return short_enum(evidence_pb2.ModelSignature.Verdict, signature.verdict, "VERDICT_")


EVIDENCES: Columns = {
    "evidence": lambda evidence: last(evidence.name),
    "kind": kind,
    "tool": lambda evidence: f"{evidence.tool} {evidence.tool_version}".strip(),
    "outcome": outcome,
    "findings": lambda evidence: evidence.findings or "",
    "run": lambda evidence: when(evidence, "run_time"),
    "by": lambda evidence: evidence.reporter,
}
EVIDENCE: Columns = {
    "name": lambda evidence: evidence.name,
    **{heading: column for heading, column in EVIDENCES.items() if heading != "evidence"},
    "summary": lambda evidence: evidence.summary,
    "digest": lambda evidence: evidence.manifest_digest,
    "report": lambda evidence: evidence.report_uri,
    "report sha256": lambda evidence: evidence.report_sha256,
    "annotations": lambda evidence: dict(evidence.annotations),
    "added": lambda evidence: when(evidence, "create_time"),
}
SIGNATURES: Columns = {
    "signature": lambda signature: last(signature.name),
    "verdict": verdict,
    "signer": lambda signature: signature.signer,
    "trusted as": lambda signature: last(signature.trusted_signer) if signature.trusted_signer else "",
    "failure": lambda signature: signature.failure,
    "added": lambda signature: when(signature, "create_time"),
    "by": lambda signature: signature.creator,
}
SIGNATURE: Columns = {
    "name": lambda signature: signature.name,
    **{heading: column for heading, column in SIGNATURES.items() if heading != "signature"},
    "digest": lambda signature: signature.manifest_digest,
    "bundle sha256": lambda signature: signature.bundle_sha256,
}
SIGNERS: Columns = {
    "signer": lambda signer: last(signer.name),
    "display name": lambda signer: signer.display_name,
    "key id": lambda signer: signer.key_id,
    "identity": lambda signer: signer.certificate_identity or ("any" if signer.certificate_authorities else ""),
    "created": lambda signer: when(signer, "create_time"),
    "by": lambda signer: signer.creator,
}
SIGNER: Columns = {
    "name": lambda signer: signer.name,
    **{heading: column for heading, column in SIGNERS.items() if heading != "signer"},
    "etag": lambda signer: signer.etag,
}
