"""The mutations of EvidenceService: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import evidence_pb2
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.signing import BROKEN_BUNDLE, PUBLIC_KEY


def _creation(catalogue: Catalogue) -> evidence_pb2.CreateTrustedSignerRequest:
    return evidence_pb2.CreateTrustedSignerRequest(
        parent=catalogue.parent,
        trusted_signer_id=new_id("s"),
        trusted_signer=evidence_pb2.TrustedSigner(public_key=PUBLIC_KEY),
    )


def create_signer(catalogue: Catalogue) -> Any:
    return _creation(catalogue), {"trusted_signer_id": new_id("s")}


def delete_signer(catalogue: Catalogue) -> Any:
    name = catalogue.api.evidence.CreateTrustedSigner(_creation(catalogue)).name
    return evidence_pb2.DeleteTrustedSignerRequest(name=name), {"etag": "other"}


def add_signature(catalogue: Catalogue) -> Any:
    parent = catalogue.ready(catalogue.model()).name
    request = evidence_pb2.AddSignatureRequest(parent=parent, bundle=BROKEN_BUNDLE)
    return request, {"bundle": BROKEN_BUNDLE + b" "}


def add_evidence(catalogue: Catalogue) -> Any:
    evidence, other = (
        evidence_pb2.Evidence(
            kind=evidence_pb2.EVIDENCE_KIND_TEST, tool=tool, outcome=evidence_pb2.EVIDENCE_OUTCOME_PASSED
        )
        for tool in ("pytest", "other")
    )
    parent = catalogue.ready(catalogue.model()).name
    return evidence_pb2.AddEvidenceRequest(parent=parent, evidence=evidence), {"evidence": other}


EVIDENCE_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "EvidenceService.CreateTrustedSigner": create_signer,
    "EvidenceService.DeleteTrustedSigner": delete_signer,
    "EvidenceService.AddSignature": add_signature,
    "EvidenceService.AddEvidence": add_evidence,
}
EVIDENCE_READS = {
    "EvidenceService.GetTrustedSigner",
    "EvidenceService.ListTrustedSigners",
    "EvidenceService.GetSignature",
    "EvidenceService.ListSignatures",
    "EvidenceService.GetEvidence",
    "EvidenceService.ListEvidence",
}
EMPTY_EVIDENCE_ANSWERS = {"EvidenceService.DeleteTrustedSigner"}
