"""The one table from reasons to gRPC statuses, and the status a client is sent.

Nothing of an unknown exception leaves the process: its text may hold connection strings or other people's names.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details_pb2
from google.rpc.status_pb2 import Status

from registry_grpc.domain.errors import Reason, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from registry_grpc.domain.errors import Violation

DOMAIN = "registry-grpc"
MAX_STATUS_BYTES = 7 * 1024
"""Trailers over 8 KiB turn any error into RESOURCE_EXHAUSTED at the client."""
MAX_VIOLATIONS = 20
_MAX_MESSAGE_CHARS = 1000
_MAX_FACT_CHARS = 500
_MAX_SUBJECT_CHARS = 200
_MAX_DESCRIPTION_CHARS = 300

_C = grpc.StatusCode
_CODES: dict[grpc.StatusCode, str] = {
    _C.INVALID_ARGUMENT: """
        MALFORMED_REQUEST INVALID_FIELD INVALID_RESOURCE_NAME INVALID_FILTER INVALID_ORDER_BY INVALID_UPDATE_MASK
        INVALID_PAGE_TOKEN REQUEST_ID_REUSED IMMUTABLE_FIELD CHUNK_CHECKSUM DIGEST_MISMATCH""",
    _C.FAILED_PRECONDITION: """
        VERSION_IMMUTABLE VERSION_STATE STATE_TRANSITION APPROVAL_REQUIRED POLICY_VIOLATION STAGE_FROZEN HAS_CHILDREN
        VERSION_IN_USE STAGE_IN_USE UPLOADS_OPEN VERSION_EMPTY NO_ROLLBACK_TARGET UPLOAD_CLOSED HISTORY_CHANGED
        ROLE_IN_USE LAST_ADMIN PROJECT_DELETED NOT_DELETED PROJECT_PROTECTED GARBAGE_FROZEN
        PROMOTION_CLOSED LINEAGE_CYCLE NO_DIRECTION""",
    _C.UNAUTHENTICATED: "TOKEN_MISSING TOKEN_INVALID TOKEN_EXPIRED TOKEN_REVOKED PRINCIPAL_DISABLED",
    _C.PERMISSION_DENIED: "PERMISSION_MISSING SELF_APPROVAL",
    _C.NOT_FOUND: """
        PROJECT_NOT_FOUND MODEL_NOT_FOUND VERSION_NOT_FOUND ALIAS_NOT_FOUND STAGE_NOT_FOUND STAGE_VACANT
        ARTIFACT_NOT_FOUND UPLOAD_NOT_FOUND ROLE_NOT_FOUND ROLE_BINDING_NOT_FOUND SERVICE_ACCOUNT_NOT_FOUND
        TOKEN_NOT_FOUND DEPLOYMENT_NOT_FOUND WEBHOOK_NOT_FOUND DELIVERY_NOT_FOUND
        POLICY_NOT_FOUND PROMOTION_REQUEST_NOT_FOUND SIGNATURE_NOT_FOUND EVIDENCE_NOT_FOUND TRUSTED_SIGNER_NOT_FOUND
        AUDIT_ENTRY_NOT_FOUND RUN_NOT_FOUND LINK_NOT_FOUND NODE_NOT_FOUND NO_CANDIDATE""",
    _C.ALREADY_EXISTS: "RESOURCE_EXISTS",
    _C.ABORTED: "ETAG_MISMATCH STAGE_MOVED ALIAS_MOVED TRANSACTION_CONFLICT UPLOAD_SUPERSEDED",
    _C.OUT_OF_RANGE: "OFFSET_AHEAD SIZE_MISMATCH READ_OFFSET REVISION_COMPACTED REVISION_UNKNOWN",
    _C.DATA_LOSS: "ARTIFACT_CORRUPT",
    _C.RESOURCE_EXHAUSTED: "QUOTA_EXCEEDED RATE_LIMITED TOO_MANY_STREAMS",
    _C.UNAVAILABLE: "REVISION_NOT_REACHED DATABASE_UNAVAILABLE STORAGE_UNAVAILABLE DRAINING ISSUER_UNAVAILABLE",
    _C.INTERNAL: "INTERNAL",
    _C.UNIMPLEMENTED: "FEATURE_DISABLED",
    _C.DEADLINE_EXCEEDED: "STREAM_IDLE",
}  # fmt: skip
CODE_OF: dict[Reason, grpc.StatusCode] = {
    Reason(name): code for code, names in _CODES.items() for name in names.split()
}
"""Every reason and its status; the comments of errors.proto say the same."""
DEFAULT_RETRY_S = {
    Reason.TRANSACTION_CONFLICT: 0.1,
    Reason.RATE_LIMITED: 1.0,
    Reason.TOO_MANY_STREAMS: 5.0,
    Reason.REVISION_NOT_REACHED: 0.2,
    Reason.DATABASE_UNAVAILABLE: 1.0,
    Reason.STORAGE_UNAVAILABLE: 1.0,
    Reason.DRAINING: 0.5,
    Reason.ISSUER_UNAVAILABLE: 5.0,
}
"""The contract promises RetryInfo for these; used when the raiser gave no hint of its own."""


class WireStatus(NamedTuple):
    """A status to end a call with; grpc.aio takes it as it is."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def refusal_of(error: BaseException, request_id: str) -> WireStatus:
    """What a call that failed with `error` is ended with: `wire_status` of its `status_of`.

    The same words are encoded once: whoever is refused by a limit, or for want of a token, is refused by the thousand.
    """
    if (
        isinstance(error, RegistryError)
        and not (error.facts or error.violations)
        and error.reason is not Reason.INTERNAL
    ):
        return _plain(error.reason, error.message, error.retry_after_s)
    return wire_status(status_of(error, request_id))


@lru_cache(maxsize=256)
def _plain(reason: Reason, message: str, retry_after_s: float | None) -> WireStatus:
    """Of an error whose status holds nothing of the one call."""
    return wire_status(status_of(RegistryError(reason, message, retry_after_s=retry_after_s), ""))


def status_of(error: BaseException, request_id: str) -> Status:
    """The google.rpc.Status for `error`: its reason's, or INTERNAL with a fixed text for anything unknown."""
    known = error if isinstance(error, RegistryError) else internal_error(request_id)
    return _fitted(known, request_id)


def internal_error(request_id: str) -> RegistryError:
    """What a client is told of a defect: nothing but the id under which the log has the rest."""
    return RegistryError(
        Reason.INTERNAL,
        f"internal error; report request id {request_id}",
        requestId=request_id,
    )


def wire_status(status: Status) -> WireStatus:
    """The form `context.abort_with_status` and trailers need."""
    return WireStatus(
        CODE_BY_NUMBER[status.code],
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )


CODE_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def _fitted(error: RegistryError, request_id: str) -> Status:
    """With as many violations as fit; ErrorInfo is never given up."""
    kept = error.violations[:MAX_VIOLATIONS]
    while True:
        status = _status(error, kept, request_id)
        if trailer_bytes(status) <= MAX_STATUS_BYTES:
            return status
        if kept:
            kept = kept[: len(kept) // 2]
            continue
        return _bare(error)


def trailer_bytes(status: Status) -> int:
    """Size on the wire: the details, and the text once more with what is not ASCII percent-encoded."""
    text = status.message
    if text.isascii() and text.isprintable():
        return status.ByteSize() + len(text)
    return status.ByteSize() + sum(1 if " " <= char <= "~" else 3 * len(char.encode()) for char in text)


def _status(error: RegistryError, violations: Iterable[Violation], request_id: str) -> Status:
    code = CODE_OF[error.reason]
    details: list[Message] = [_error_info(error, _MAX_FACT_CHARS)]
    kept = [
        (
            cut(violation.subject, _MAX_SUBJECT_CHARS),
            cut(violation.description, _MAX_DESCRIPTION_CHARS),
        )
        for violation in violations
    ]
    details += _violations(error, code, kept)
    retry_s = error.retry_after_s or DEFAULT_RETRY_S.get(error.reason)
    if retry_s is not None:
        details.append(details_pb2.RetryInfo(retry_delay=_duration(retry_s)))
    if code is grpc.StatusCode.INTERNAL:
        details.append(details_pb2.RequestInfo(request_id=request_id))
    return _packed(code, cut(error.message, _MAX_MESSAGE_CHARS), details)


def _violations(error: RegistryError, code: grpc.StatusCode, kept: list[tuple[str, str]]) -> Iterable[Message]:
    if error.reason is Reason.QUOTA_EXCEEDED:
        kept = kept or [("quota", cut(error.message, _MAX_DESCRIPTION_CHARS))]
        yield details_pb2.QuotaFailure(
            violations=[details_pb2.QuotaFailure.Violation(subject=subject, description=text) for subject, text in kept]
        )
    elif kept and code is grpc.StatusCode.INVALID_ARGUMENT:
        yield details_pb2.BadRequest(
            field_violations=[
                details_pb2.BadRequest.FieldViolation(field=subject, description=text) for subject, text in kept
            ]
        )
    elif kept and code is grpc.StatusCode.FAILED_PRECONDITION:
        yield details_pb2.PreconditionFailure(
            violations=[
                details_pb2.PreconditionFailure.Violation(type=error.reason.value, subject=subject, description=text)
                for subject, text in kept
            ]
        )


def _bare(error: RegistryError) -> Status:
    """Nothing but ErrorInfo, with facts cut short enough to fit whatever they are."""
    facts = max(len(error.facts), 1)
    info = _error_info(error, max(1, 800 // facts))
    return _packed(CODE_OF[error.reason], cut(error.message, 200), [info])


def _error_info(error: RegistryError, max_chars: int) -> details_pb2.ErrorInfo:
    return details_pb2.ErrorInfo(
        reason=error.reason.value,
        domain=DOMAIN,
        metadata={key: cut(value, max_chars) for key, value in error.facts.items()},
    )


def _packed(code: grpc.StatusCode, message: str, details: Iterable[Message]) -> Status:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def cut(text: str, max_chars: int) -> str:
    """`text`, shortened to `max_chars` and fit for UTF-8."""
    shown = text if len(text) <= max_chars else text[: max_chars - 1] + "…"
    return shown.encode("utf-8", "replace").decode()


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1_000_000) * 1_000)
