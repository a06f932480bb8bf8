"""Names of trusted signers, and of the signatures and evidence of versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.names import ID_PATTERN, NUMBER_PATTERN, UUID_PATTERN, ProjectName, VersionName, parts_of

_SIGNER = re.compile(rf"projects/(?P<project>{ID_PATTERN})/trustedSigners/(?P<signer>{ID_PATTERN})")
_VERSION = rf"projects/(?P<project>{ID_PATTERN})/models/(?P<model>{ID_PATTERN})/versions/(?P<number>{NUMBER_PATTERN})"
_SIGNATURE = re.compile(rf"{_VERSION}/signatures/(?P<id>{UUID_PATTERN})")
_EVIDENCE = re.compile(rf"{_VERSION}/evidence/(?P<id>{UUID_PATTERN})")


@dataclass(frozen=True, slots=True, order=True)
class TrustedSignerName:
    """`projects/{project}/trustedSigners/{trusted_signer}`."""

    project: str
    signer: str

    FORM = "projects/{project}/trustedSigners/{trusted_signer}"

    def __str__(self) -> str:
        return f"projects/{self.project}/trustedSigners/{self.signer}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> TrustedSignerName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_SIGNER, text, field, cls.FORM))

    @property
    def parent(self) -> ProjectName:
        """Its project."""
        return ProjectName(self.project)


@dataclass(frozen=True, slots=True, order=True)
class SignatureName:
    """`projects/{project}/models/{model}/versions/{version}/signatures/{signature}`."""

    project: str
    model: str
    number: int
    id: str

    FORM = "projects/{project}/models/{model}/versions/{version}/signatures/{signature}"

    def __str__(self) -> str:
        return f"{self.parent}/signatures/{self.id}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> SignatureName:
        """Raises: INVALID_RESOURCE_NAME."""
        parts = parts_of(_SIGNATURE, text, field, cls.FORM)
        return cls(parts["project"], parts["model"], int(parts["number"]), parts["id"])

    @property
    def parent(self) -> VersionName:
        """Its version."""
        return VersionName(self.project, self.model, self.number)


@dataclass(frozen=True, slots=True, order=True)
class EvidenceName:
    """`projects/{project}/models/{model}/versions/{version}/evidence/{evidence}`."""

    project: str
    model: str
    number: int
    id: str

    FORM = "projects/{project}/models/{model}/versions/{version}/evidence/{evidence}"

    def __str__(self) -> str:
        return f"{self.parent}/evidence/{self.id}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> EvidenceName:
        """Raises: INVALID_RESOURCE_NAME."""
        parts = parts_of(_EVIDENCE, text, field, cls.FORM)
        return cls(parts["project"], parts["model"], int(parts["number"]), parts["id"])

    @property
    def parent(self) -> VersionName:
        """Its version."""
        return VersionName(self.project, self.model, self.number)
