from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2 as details

from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.services.errors import (
    CODE_OF,
    MAX_STATUS_BYTES,
    refusal_of,
    status_of,
    trailer_bytes,
    wire_status,
)
from registry_grpc.v1 import errors_pb2

PROTO = Path(__file__).parents[2] / "proto/registry_grpc/v1/errors.proto"


def detail(status, kind):
    message = kind()
    return message if any(each.Unpack(message) for each in status.details) else None


def comment_of(reason):
    before = PROTO.read_text().partition(f"ERROR_REASON_{reason} =")[0].splitlines()[:-1]
    lines = []
    while before[-1].strip().startswith("//"):
        lines.insert(0, before.pop().strip().removeprefix("//").strip())
    return " ".join(lines)


def test_reasons_are_those_of_the_contract_and_each_has_a_status():
    wire = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118 - no dict
    assert {reason.value for reason in Reason} == wire - {"UNSPECIFIED"}
    assert set(CODE_OF) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_the_table_agrees_with_the_comments_of_the_contract(reason):
    assert comment_of(reason).startswith(f"{CODE_OF[reason].name}:")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_promised_retry_info_carries_it(reason):
    promised = "RetryInfo" in comment_of(reason)
    status = status_of(RegistryError(reason, "x"), "r1")
    assert (detail(status, details.RetryInfo) is not None) == promised


def test_facts_and_violations_reach_the_client():
    error = RegistryError(Reason.INVALID_FIELD, "a: bad", violations=(Violation("a", "bad"),), pattern="p")
    status = status_of(error, "r1")
    info = detail(status, details.ErrorInfo)
    assert (info.domain, info.reason, dict(info.metadata)) == (
        "registry-grpc",
        "INVALID_FIELD",
        {"pattern": "p"},
    )
    [field] = detail(status, details.BadRequest).field_violations
    assert (field.field, field.description) == ("a", "bad")


def test_preconditions_list_the_first_twenty():
    violations = tuple(Violation(f"stages/{n}", "holds it") for n in range(30))
    error = RegistryError(Reason.VERSION_IN_USE, "in use", violations=violations)
    found = detail(status_of(error, "r1"), details.PreconditionFailure)
    assert [each.subject for each in found.violations] == [f"stages/{n}" for n in range(20)]
    assert {each.type for each in found.violations} == {"VERSION_IN_USE"}


def test_quota_names_its_quota():
    status = status_of(RegistryError(Reason.QUOTA_EXCEEDED, "full"), "r1")
    assert detail(status, details.QuotaFailure).violations[0].description == "full"


@pytest.mark.parametrize("char", ["a", "ü", "\N{GRINNING FACE}", "\ud800"])
def test_no_status_outgrows_its_trailer_and_error_info_stays(char):
    long = char * 20_000
    error = RegistryError(
        Reason.INVALID_FIELD,
        long,
        violations=tuple(Violation(long, long) for _ in range(50)),
        **{f"fact{n}": long for n in range(20)},
    )
    status = status_of(error, "r1")
    assert trailer_bytes(status) <= MAX_STATUS_BYTES
    assert detail(status, details.ErrorInfo).reason == "INVALID_FIELD"


def test_nothing_of_an_unknown_exception_leaves():
    status = status_of(ValueError("postgres://u:secret@h"), "r-77")
    assert wire_status(status).code is grpc.StatusCode.INTERNAL
    assert b"secret" not in status.SerializeToString()
    assert detail(status, details.RequestInfo).request_id == "r-77"
    assert "r-77" in status.message


def test_a_refusal_that_is_kept_says_what_one_made_anew_says():
    plain = RegistryError(Reason.RATE_LIMITED, "too many", retry_after_s=3)
    detailed = RegistryError(Reason.INVALID_FIELD, "a: bad", violations=(Violation("a", "bad"),), pattern="p")
    for error in (plain, detailed, ValueError("x"), RegistryError(Reason.INTERNAL, "a defect")):
        for request_id in ("r1", "r2"):
            assert refusal_of(error, request_id) == wire_status(status_of(error, request_id))
    other = RegistryError(Reason.RATE_LIMITED, "too many", retry_after_s=4)
    assert refusal_of(other, "r1") != refusal_of(plain, "r1")
