"""`registry.policies`, `registry.promotion_requests`, freezes and withdrawals against a real server."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.client import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Registry,
)
from registry_grpc.v1 import governance_pb2 as pb
from registry_grpc.v1 import versions_pb2
from tests.kit.access import Office
from tests.kit.catalogue import new_id

S = pb.PromotionRequest
PEOPLE = {"id": "people", "approvals": {"count": 1}}


@pytest.fixture
def version(registry, tree):
    """In staging."""
    model = new_id("m")
    registry.push(model, tree)
    return registry.promote(f"{model}/1", "staging").stage.version


@pytest.fixture
def policy(registry, version):
    """In force for the model of `version` alone."""
    made = registry.policies.create(
        new_id("p"), models=[version.split("/")[3]], stages=["production"], rules=[PEOPLE], description="four eyes"
    )
    yield made
    registry.policies.delete(made.name)


@pytest.fixture
def approver(server, tmp_path):
    """A client of somebody else, who may approve."""
    office = Office(server)
    principal = f"user:{new_id('approver')}"
    office.bind("approver", "projects/default", principal)
    with Registry(server.endpoint, token=office.issue(principal).secret, cache_dir=tmp_path / "c") as client:
        yield client
    office.close()


def test_policies_are_resources_with_versions(registry, policy):
    assert registry.policies.get(policy.name) == policy
    assert registry.policies.get(policy.name.rpartition("/")[2]) == policy
    assert policy in list(registry.policies.list())
    changed = registry.policies.update(policy.name, etag=policy.etag, fast_rollback=True)
    assert (changed.policy_version, changed.fast_rollback, changed.description) == (2, True, "four eyes")
    with pytest.raises(Conflict, match="changed since"):
        registry.policies.update(policy.name, etag=policy.etag, disabled=True)
    assert [each.policy_version for each in registry.policies.versions(policy.name, page_size=1)] == [2, 1]
    assert not registry.policies.get(policy.name, version=1).fast_rollback
    with pytest.raises(AlreadyExists):
        registry.policies.create(policy.name, stages=["production"], rules=[PEOPLE])
    with pytest.raises(InvalidArgument, match="moon"):
        registry.policies.create(new_id("p"), stages=["moon"], rules=[PEOPLE])
    with pytest.raises(NotFound):
        registry.policies.get(new_id("p"))


def test_a_request_is_opened_approved_and_committed(registry, approver, version, policy):
    with pytest.raises(FailedPrecondition) as refused:
        registry.promote(version, "production")
    assert refused.value.reason == "APPROVAL_REQUIRED"
    until = datetime.now(UTC) + timedelta(days=1)
    request = registry.promotion_requests.create(version, "production", reason="better", expire_time=until)
    assert (request.state, request.approvals_missing) == (S.STATE_PENDING, 1)
    with pytest.raises(PermissionDenied) as own:
        registry.promotion_requests.approve(request.name)
    assert own.value.reason == "SELF_APPROVAL"
    assert not registry.evaluate(version, "production").allowed
    assert approver.promotion_requests.reject(request.name, "no").state == S.STATE_REJECTED
    commented = registry.promotion_requests.comment(request.name, "look again")
    assert commented.comments[0].text == "look again"
    assert approver.promotion_requests.approve(request.name, "yes").state == S.STATE_APPROVED
    model = version.rpartition("/versions/")[0]
    found = registry.promotion_requests.list(model, states=[S.STATE_APPROVED])
    assert [each.name for each in found] == [request.name]
    assert registry.evaluate(version, "production").allowed
    assert registry.promotion_requests.commit(request.name).state == S.STATE_COMMITTED
    assert registry.promotion_requests.get(request.name).approvals[0].comment == "yes"
    row = next(iter(registry.history(model.rpartition("/")[2])))
    assert (row.promotion_request, list(row.policies)) == (request.name, [f"{policy.name}@1"])


def test_a_request_is_withdrawn(registry, version):
    request = registry.promotion_requests.create(version, "production")
    assert registry.promotion_requests.withdraw(request.name, "not now").state == S.STATE_WITHDRAWN
    with pytest.raises(FailedPrecondition) as closed:
        registry.promotion_requests.commit(request.name)
    assert closed.value.reason == "PROMOTION_CLOSED"


def test_glass_is_broken_with_a_reason(registry, version, policy):
    with pytest.raises(InvalidArgument):
        registry.promote(version, "production", break_glass=True)
    registry.promote(version, "production", break_glass=True, reason="INC-12")
    model = version.split("/")[3]
    assert next(iter(registry.history(model))).break_glass


def test_a_stage_is_frozen_and_versions_are_withdrawn(registry, version):
    model = version.split("/")[3]
    assert registry.freeze(model, "production", "audit").freeze_reason == "audit"
    with pytest.raises(FailedPrecondition) as frozen:
        registry.promote(version, "production")
    assert frozen.value.reason == "STAGE_FROZEN"
    assert not registry.unfreeze(model, "production").frozen
    assert registry.deprecate_version(version, "old").state == versions_pb2.VERSION_STATE_DEPRECATED
    assert registry.yank_version(version, "leaked").state_reason == "leaked"
    assert registry.reinstate_version(version).state == versions_pb2.VERSION_STATE_READY
