"""The one error type of the registry and the reasons it carries.

Reasons equal the `ErrorReason` enum of the contract without its prefix; `services/errors.py` turns each into a status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto


class Reason(StrEnum):
    """Why a call failed; the value is what clients match on."""

    @staticmethod
    def _generate_next_value_(name: str, *_: object) -> str:
        return name

    MALFORMED_REQUEST = auto()
    INVALID_FIELD = auto()
    INVALID_RESOURCE_NAME = auto()
    INVALID_FILTER = auto()
    INVALID_ORDER_BY = auto()
    INVALID_UPDATE_MASK = auto()
    INVALID_PAGE_TOKEN = auto()
    REQUEST_ID_REUSED = auto()
    IMMUTABLE_FIELD = auto()
    VERSION_IMMUTABLE = auto()
    VERSION_STATE = auto()
    TOKEN_MISSING = auto()
    TOKEN_INVALID = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_REVOKED = auto()
    PERMISSION_MISSING = auto()
    PROJECT_NOT_FOUND = auto()
    MODEL_NOT_FOUND = auto()
    VERSION_NOT_FOUND = auto()
    ALIAS_NOT_FOUND = auto()
    STAGE_NOT_FOUND = auto()
    STAGE_VACANT = auto()
    ARTIFACT_NOT_FOUND = auto()
    UPLOAD_NOT_FOUND = auto()
    RESOURCE_EXISTS = auto()
    ETAG_MISMATCH = auto()
    STAGE_MOVED = auto()
    ALIAS_MOVED = auto()
    TRANSACTION_CONFLICT = auto()
    UPLOAD_SUPERSEDED = auto()
    STATE_TRANSITION = auto()
    APPROVAL_REQUIRED = auto()
    POLICY_VIOLATION = auto()
    STAGE_FROZEN = auto()
    HAS_CHILDREN = auto()
    VERSION_IN_USE = auto()
    STAGE_IN_USE = auto()
    UPLOADS_OPEN = auto()
    VERSION_EMPTY = auto()
    NO_ROLLBACK_TARGET = auto()
    UPLOAD_CLOSED = auto()
    OFFSET_AHEAD = auto()
    SIZE_MISMATCH = auto()
    READ_OFFSET = auto()
    REVISION_COMPACTED = auto()
    REVISION_UNKNOWN = auto()
    HISTORY_CHANGED = auto()
    CHUNK_CHECKSUM = auto()
    DIGEST_MISMATCH = auto()
    ARTIFACT_CORRUPT = auto()
    QUOTA_EXCEEDED = auto()
    RATE_LIMITED = auto()
    TOO_MANY_STREAMS = auto()
    REVISION_NOT_REACHED = auto()
    DATABASE_UNAVAILABLE = auto()
    STORAGE_UNAVAILABLE = auto()
    DRAINING = auto()
    INTERNAL = auto()
    FEATURE_DISABLED = auto()
    STREAM_IDLE = auto()
    PRINCIPAL_DISABLED = auto()
    ISSUER_UNAVAILABLE = auto()
    ROLE_NOT_FOUND = auto()
    ROLE_BINDING_NOT_FOUND = auto()
    SERVICE_ACCOUNT_NOT_FOUND = auto()
    TOKEN_NOT_FOUND = auto()
    ROLE_IN_USE = auto()
    LAST_ADMIN = auto()
    PROJECT_DELETED = auto()
    NOT_DELETED = auto()
    PROJECT_PROTECTED = auto()
    DEPLOYMENT_NOT_FOUND = auto()
    WEBHOOK_NOT_FOUND = auto()
    DELIVERY_NOT_FOUND = auto()
    GARBAGE_FROZEN = auto()
    POLICY_NOT_FOUND = auto()
    PROMOTION_REQUEST_NOT_FOUND = auto()
    SIGNATURE_NOT_FOUND = auto()
    EVIDENCE_NOT_FOUND = auto()
    TRUSTED_SIGNER_NOT_FOUND = auto()
    AUDIT_ENTRY_NOT_FOUND = auto()
    PROMOTION_CLOSED = auto()
    SELF_APPROVAL = auto()
    RUN_NOT_FOUND = auto()
    LINK_NOT_FOUND = auto()
    NODE_NOT_FOUND = auto()
    LINEAGE_CYCLE = auto()
    NO_CANDIDATE = auto()
    NO_DIRECTION = auto()


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field, or one rule, of a request."""

    subject: str
    """Field path such as `version.metrics[2].name`, or the resource a rule is about."""
    description: str
    """What was wrong, the limit, and what to do next."""


class RegistryError(Exception):
    """A failure with a reason a client can act on.

    `facts` become `ErrorInfo.metadata`: every word of the message that varies is repeated there.
    `violations` become BadRequest or PreconditionFailure, whichever fits the reason.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after_s: float | None = None,
        **facts: object,
    ) -> None:
        """Facts are turned into text; those that are None are left out."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations
        self.retry_after_s = retry_after_s
        self.facts = {key: str(value) for key, value in facts.items() if value is not None}


class PolicyError(RegistryError):
    """A refusal for want of a permission; a refused change leaves an audit row.

    NOT_FOUND too: of what lies where a caller has no binding, whether it exists or not.
    """

    @classmethod
    def as_if(cls, error: RegistryError) -> PolicyError:
        """Refuses with the very words of `error`, which is what would be said if it were not there."""
        same = cls(error.reason, error.message)
        same.facts = error.facts
        return same


def invalid_field(subject: str, description: str) -> RegistryError:
    """The error for one bad field."""
    return invalid_fields((Violation(subject, description),))


def invalid_fields(violations: tuple[Violation, ...]) -> RegistryError:
    """The error for several bad fields at once, so that a caller can mend them all."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return RegistryError(
        Reason.INVALID_FIELD,
        f"{first.subject}: {first.description}{more}",
        violations=violations,
    )


def unknown_revision(wanted: int, head: int, registry_uid: str, subject: str = "revision") -> RegistryError:
    """The error for a revision beyond `head`, the newest there is."""
    return RegistryError(
        Reason.REVISION_UNKNOWN,
        f"{subject} {wanted} is not of this registry, which is at {head}: another one gave it, or this one was"
        " put back to an older state since; forget it and ask again",
        registryUid=registry_uid,
        requestedRevision=wanted,
        currentRevision=head,
    )


def shortened(text: str, limit: int = 200) -> str:
    """`text`, cut so that an error that shows it stays small."""
    return text if len(text) <= limit else text[:limit] + "…"
