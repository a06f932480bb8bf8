"""From a gRPC status to an exception: the one place that reads google.rpc details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from registry_grpc.client.errors import BY_CODE, BY_REASON, DOMAIN, RegistryError, Violation

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.message import Message

    _M = TypeVar("_M", bound=Message)

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def error_from_rpc(error: grpc.RpcError, request_id: str = "") -> RegistryError:
    """The exception for a failed call; `request_id` is what the call was sent with."""
    status = Status()
    trailers: Any = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            status.ParseFromString(value)
        elif key == REQUEST_ID_KEY and isinstance(value, str):
            request_id = value
    return _build(error.code(), error.details() or "", status, request_id)


def error_from_status(status: Status) -> RegistryError:
    """The exception for one error inside a batch answer."""
    return _build(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status, "")


def _build(code: grpc.StatusCode, message: str, status: Status, request_id: str) -> RegistryError:
    reason = ""
    metadata: dict[str, str] = {}
    retry_after_s: float | None = None
    violations: list[Violation] = []
    for detail in status.details:
        if info := _unpacked(detail, error_details_pb2.ErrorInfo):
            if info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif retry := _unpacked(detail, error_details_pb2.RetryInfo):
            retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif request := _unpacked(detail, error_details_pb2.RequestInfo):
            request_id = request.request_id
        else:
            violations += _violations(detail)
    kind = BY_REASON.get(reason) or BY_CODE.get(code, RegistryError)
    return kind(
        message,
        reason=reason,
        code=code,
        metadata=metadata,
        violations=violations,
        retry_after_s=retry_after_s,
        request_id=request_id,
    )


def _violations(detail: AnyMessage) -> list[Violation]:
    if bad := _unpacked(detail, error_details_pb2.BadRequest):
        return [Violation(found.field, found.description) for found in bad.field_violations]
    failed = _unpacked(detail, error_details_pb2.PreconditionFailure)
    quota = _unpacked(detail, error_details_pb2.QuotaFailure)
    return [
        Violation(found.subject, found.description) for kind in (failed, quota) if kind for found in kind.violations
    ]


def _unpacked(detail: AnyMessage, kind: type[_M]) -> _M | None:
    message = kind()
    return message if detail.Unpack(message) else None
