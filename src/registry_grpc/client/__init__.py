"""The Python SDK of the registry.

    from registry_grpc.client import Registry

    with Registry() as registry:
        version = registry.push("fraud", "./out", framework="scikit-learn==1.5.2", metrics={"auc": 0.93})
        registry.promote(version.location, "staging")
        directory = registry.pull("fraud@staging")

It knows the generated contract and nothing else of this package.
"""

from registry_grpc.client.errors import (
    AlreadyExists,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    FeatureDisabled,
    IntegrityError,
    InternalError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    RegistryError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)
from registry_grpc.client.manifest import FileDigest, manifest_digest
from registry_grpc.client.progress import Phase, Progress
from registry_grpc.client.references import Reference, parse_reference
from registry_grpc.client.registry import Registry

__all__ = [
    "AlreadyExists",
    "Cancelled",
    "Conflict",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FeatureDisabled",
    "FileDigest",
    "IntegrityError",
    "InternalError",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "Phase",
    "Progress",
    "Reference",
    "Registry",
    "RegistryError",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Violation",
    "manifest_digest",
    "parse_reference",
]
