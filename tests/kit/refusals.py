"""What a refused call tells its caller, taken apart so that a test can say what it expects."""

from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from tests.kit import canaries


@dataclass(frozen=True)
class Refusal:
    """One error as a client sees it."""

    code: str
    """Name of the status code."""
    reason: str = ""
    """Of ErrorInfo; empty when the transport refused the call before we saw it."""
    facts: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    """Paths in BadRequest."""
    subjects: tuple[str, ...] = ()
    """Subjects in PreconditionFailure."""
    retry_s: float | None = None
    text: str = ""


def refusal_of(error: grpc.RpcError) -> Refusal:
    """The parts of `error`."""
    trailers = dict(error.trailing_metadata() or ())
    canaries.require_none("a status", f"{error}\n{trailers}".encode())
    return from_status(Status.FromString(trailers.get("grpc-status-details-bin", b"")), error.code().name, str(error))


def from_status(status: Status, code: str = "", text: str = "") -> Refusal:
    """The parts of a status, also of one inside an answer."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry_s = None
    precondition, retry = error_details_pb2.PreconditionFailure(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, precondition):
            detail.Unpack(message)
        if detail.Unpack(retry):
            retry_s = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(
        code=code or next(each.name for each in grpc.StatusCode if each.value[0] == status.code),
        reason=info.reason,
        facts=dict(info.metadata),
        fields=tuple(each.field for each in bad.field_violations),
        subjects=tuple(each.subject for each in precondition.violations),
        retry_s=retry_s,
        text=text or status.message,
    )


def refused(call, *args, **kwargs) -> Refusal:
    """How `call` is refused; the test fails when it is not."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **kwargs)
    return refusal_of(caught.value)


def attempt(call, *args, **kwargs):
    """What `call` answers, or its refusal: for races, where either may happen."""
    try:
        return call(*args, **kwargs)
    except grpc.RpcError as error:
        return refusal_of(error)
