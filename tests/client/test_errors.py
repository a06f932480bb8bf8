import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from registry_grpc.client import errors
from registry_grpc.client.status import error_from_rpc, error_from_status
from registry_grpc.domain.errors import Reason
from registry_grpc.domain.errors import RegistryError as DomainError
from registry_grpc.domain.errors import Violation as DomainViolation
from registry_grpc.services.errors import CODE_OF, status_of, wire_status


class Failed(grpc.RpcError):
    def __init__(self, code, details="", trailers=()):
        super().__init__()
        self._answer = code, details, trailers

    def code(self):
        return self._answer[0]

    def details(self):
        return self._answer[1]

    def trailing_metadata(self):
        return self._answer[2]


def sent(error, request_id="r-1"):
    """What a client makes of what the real server sends for `error`."""
    wire = wire_status(status_of(error, request_id))
    return error_from_rpc(Failed(wire.code, wire.details, wire.trailing_metadata))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_the_server_becomes_a_typed_error(reason):
    found = sent(DomainError(reason, "what was wrong"))
    assert type(found) is not errors.RegistryError
    assert found.reason == reason.value
    assert found.code is CODE_OF[reason]
    assert "what was wrong" in str(found)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("MODEL_NOT_FOUND", errors.NotFound),
        ("RESOURCE_EXISTS", errors.AlreadyExists),
        ("INVALID_FIELD", errors.InvalidArgument),
        ("STAGE_MOVED", errors.Conflict),
        ("VERSION_IMMUTABLE", errors.FailedPrecondition),
        ("PERMISSION_MISSING", errors.PermissionDenied),
        ("TOKEN_EXPIRED", errors.Unauthenticated),
        ("DATABASE_UNAVAILABLE", errors.Unavailable),
        ("QUOTA_EXCEEDED", errors.ResourceExhausted),
        ("ARTIFACT_CORRUPT", errors.IntegrityError),
        ("DIGEST_MISMATCH", errors.IntegrityError),
        ("CHUNK_CHECKSUM", errors.IntegrityError),
        ("STREAM_IDLE", errors.DeadlineExceeded),
        ("SIZE_MISMATCH", errors.OutOfRange),
        ("FEATURE_DISABLED", errors.FeatureDisabled),
    ],
)
def test_kinds_follow_from_reasons(reason, kind):
    assert type(sent(DomainError(Reason(reason), "no"))) is kind


def test_facts_violations_and_retry_hints_arrive():
    moved = sent(DomainError(Reason.STAGE_MOVED, "moved", expectedVersion=1, currentVersion=2))
    assert moved.metadata == {"expectedVersion": "1", "currentVersion": "2"}
    invalid = sent(DomainError(Reason.INVALID_FIELD, "bad", violations=(DomainViolation("model.owner", "too long"),)))
    assert invalid.violations == (errors.Violation("model.owner", "too long"),)
    busy = sent(DomainError(Reason.RATE_LIMITED, "slow down", retry_after_s=1.5))
    assert busy.retry_after_s == 1.5


def test_a_defect_carries_the_id_to_report():
    found = sent(ValueError("password=hunter2"), "r-77")
    assert isinstance(found, errors.InternalError)
    assert found.request_id == "r-77"
    assert "hunter2" not in str(found)


def test_what_no_registry_sent_has_no_reason():
    found = error_from_rpc(Failed(grpc.StatusCode.UNAVAILABLE, "connection refused"), "mine")
    assert (type(found), found.reason, found.request_id) == (errors.Unavailable, "", "mine")
    foreign = Status(code=5, message="no")
    packed = Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="MODEL_NOT_FOUND", domain="elsewhere.example.com"))
    foreign.details.append(packed)
    assert error_from_status(foreign).reason == ""


def test_details_nobody_knows_are_passed_over():
    status = Status(code=9, message="no")
    status.details.append(Any(type_url="type.googleapis.com/future.Detail", value=b"\xff\xff"))
    assert isinstance(error_from_status(status), errors.FailedPrecondition)
