"""Evidence and signatures of versions, and the signers whose signatures count. What is added is never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.evidence_names import EvidenceName, SignatureName, TrustedSignerName

MAX_SIGNERS = 100
"""Of one project."""
MAX_SIGNATURES = 100
"""Of one version."""
MAX_EVIDENCE = 1000
"""Of one version."""
MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_PEM_CHARS = 64 * 1024
MAX_SUMMARY = 16_384
MAX_TOOL = 128


class EvidenceKind(StrEnum):
    """What kind of tool or person found it out."""

    TEST = "test"
    SCAN = "scan"
    EVALUATION = "evaluation"
    REVIEW = "review"
    OTHER = "other"


class EvidenceOutcome(StrEnum):
    """How it came out."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Verdict(StrEnum):
    """What came of verifying a signature."""

    VALID = "valid"
    UNTRUSTED = "untrusted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """A signer whose signatures count: one public key, or whoever has a certificate of these authorities."""

    uid: str
    name: TrustedSignerName
    display_name: str = ""
    public_key: str = ""
    """PEM; excludes `certificate_authorities`."""
    certificate_authorities: str = ""
    """PEM."""
    certificate_identity: str = ""
    """Subject alternative name a signing certificate must have, `uri:…`, `dns:…` or `email:…`; empty for any."""
    key_id: str = ""
    """SHA-256 of the SubjectPublicKeyInfo, hex; empty with certificates."""
    creator: str = ""
    create_time: datetime
    delete_time: datetime | None = None
    """Set only in the event that says that it is gone."""
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSignature:
    """An OpenSSF Model Signing bundle of a version, and what the server made of it when it was added."""

    name: SignatureName
    version_uid: str
    verdict: Verdict
    """VALID is read as UNTRUSTED once the signer is trusted no more."""
    failure: str = ""
    signer_uid: str = ""
    """Of the trusted signer whose it was; empty for none."""
    trusted_signer: str = ""
    """Its name; empty for none."""
    signer: str = ""
    """`key:` and the key id, or an identity of the signing certificate."""
    bundle_sha256: str
    bundle: bytes = field(default=b"", repr=False)
    """Only where one signature is read by its name; never in an event."""
    manifest_digest: str
    create_time: datetime
    creator: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a tool or a person found out about a version."""

    name: EvidenceName
    version_uid: str
    kind: EvidenceKind
    tool: str
    tool_version: str = ""
    outcome: EvidenceOutcome
    summary: str = ""
    findings: int = 0
    manifest_digest: str
    report_sha256: str = ""
    report_uri: str = ""
    run_time: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    reporter: str = ""
    create_time: datetime
    revision: int = 0
