"""What calls raise: one class per kind of failure, and the reason the server gave.

Match on the class, or on `error.reason` (a name of `ErrorReason` without its prefix); never on the message.
"""
# ruff: noqa: N818 -- the names of the gRPC statuses, as in google.api_core

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOMAIN = "registry-grpc"


@dataclass(frozen=True, slots=True)
class Violation:
    """One field, rule or resource that stands in the way."""

    subject: str
    description: str


class RegistryError(Exception):
    """A call failed.

    `reason` is the contract's reason, empty when the failure did not come from a registry (no connection, a proxy) or
    was found on this side; `code` is the gRPC status; `retry_after_s` is set when the server asks to wait.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: grpc.StatusCode | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code or type(self).code
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class NotFound(RegistryError):
    """No such resource, or the caller may not know of it."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(RegistryError):
    """The id, label or alias is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class InvalidArgument(RegistryError):
    """The request makes no sense whatever the state; also raised before anything is sent."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class OutOfRange(InvalidArgument):
    """An offset, size or revision lies outside of what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class Conflict(RegistryError):
    """Someone else was first: read again and decide."""

    code = grpc.StatusCode.ABORTED


class FailedPrecondition(RegistryError):
    """The present state does not allow the call."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class PermissionDenied(RegistryError):
    """The caller lacks a permission."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(RegistryError):
    """No token, or one that does not count."""

    code = grpc.StatusCode.UNAUTHENTICATED


class Unavailable(RegistryError):
    """The registry, its database or its store does not answer; trying again later may help."""

    code = grpc.StatusCode.UNAVAILABLE


class ResourceExhausted(RegistryError):
    """A quota, rate or storage limit."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class DeadlineExceeded(RegistryError):
    """No answer in time; a mutation may have happened."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class IntegrityError(RegistryError):
    """Bytes are not what their digest says: stored, sent, received or on this disk."""

    code = grpc.StatusCode.DATA_LOSS


class FeatureDisabled(RegistryError):
    """This server does not do that."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(RegistryError):
    """A defect of the server; report `request_id`."""

    code = grpc.StatusCode.INTERNAL


class Cancelled(RegistryError):
    """The call was cancelled, here or by the server."""

    code = grpc.StatusCode.CANCELLED


BY_CODE: dict[grpc.StatusCode, type[RegistryError]] = {
    kind.code: kind
    for kind in (
        NotFound,
        AlreadyExists,
        InvalidArgument,
        OutOfRange,
        Conflict,
        FailedPrecondition,
        PermissionDenied,
        Unauthenticated,
        Unavailable,
        ResourceExhausted,
        DeadlineExceeded,
        IntegrityError,
        FeatureDisabled,
        InternalError,
        Cancelled,
    )
}
BY_REASON: dict[str, type[RegistryError]] = {
    "DIGEST_MISMATCH": IntegrityError,
    "CHUNK_CHECKSUM": IntegrityError,
    "ARTIFACT_CORRUPT": IntegrityError,
}
"""Where the status alone would say something else."""
