"""Repositories of trusted signers, and of the signatures and evidence of versions.

What is added to a version is never changed, and goes with it when it is purged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.domain.evidence import Evidence, EvidenceKind, ModelSignature, TrustedSigner
    from registry_grpc.domain.evidence_names import TrustedSignerName


class TrustedSigners(Protocol):
    """Signers whose signatures count."""

    def get(self, name: TrustedSignerName) -> TrustedSigner | None:
        """The signer."""

    def lock(self, name: TrustedSignerName) -> TrustedSigner | None:
        """As `get`, held against other writers."""

    def list(self, project: str, *, after: str, limit: int) -> Sequence[TrustedSigner]:
        """By id."""

    def count(self, project: str) -> int:
        """How many the project has."""

    def insert(self, signer: TrustedSigner) -> None:
        """Raises: RESOURCE_EXISTS."""

    def delete(self, uid: str) -> None:
        """Remove it; signatures by it that were VALID are UNTRUSTED from then on."""

    def delete_all(self, project: str) -> Sequence[TrustedSigner]:
        """Remove those of a project that goes for good; what they were."""


class Signatures(Protocol):
    """Signatures of versions. One that was VALID is read as UNTRUSTED when its signer is trusted no more."""

    def get(self, version_uid: str, signature_id: str) -> ModelSignature | None:
        """The signature with its bundle."""

    def list(self, version_uid: str, *, after: int, limit: int) -> Sequence[ModelSignature]:
        """By revision, without bundles; `after` 0 means from the beginning."""

    def of_version(self, version_uid: str) -> Sequence[ModelSignature]:
        """All of them, by revision, without bundles."""

    def count(self, version_uid: str) -> int:
        """How many the version has."""

    def insert(self, signature: ModelSignature) -> None:
        """Add one; its model is locked."""

    def delete_of(self, version_uid: str) -> None:
        """Remove all of the version."""


class EvidenceItems(Protocol):
    """Evidence of versions."""

    def get(self, version_uid: str, evidence_id: str) -> Evidence | None:
        """One piece of evidence."""

    def list(self, version_uid: str, kinds: Collection[EvidenceKind], *, after: int, limit: int) -> Sequence[Evidence]:
        """By revision, of all kinds when none is named; `after` 0 means from the beginning."""

    def of_version(self, version_uid: str) -> Sequence[Evidence]:
        """All of it, by revision."""

    def count(self, version_uid: str) -> int:
        """How many the version has."""

    def insert(self, evidence: Evidence) -> None:
        """Add one; its model is locked."""

    def delete_of(self, version_uid: str) -> None:
        """Remove all of the version."""
