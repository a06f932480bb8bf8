"""Policies and promotion requests on real servers: what a promotion demands, and who said yes."""

import grpc
import pytest

from registry_grpc.v1 import events_pb2, models_pb2, stages_pb2, versions_pb2
from registry_grpc.v1 import governance_pb2 as pb
from tests.kit.catalogue import request_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.governing import ONE_APPROVAL, TWO_APPROVALS, Governed, approve, refused, reject

S = pb.PromotionRequest


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def served(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture
def governed(served):
    place = Governed(served)
    yield place
    place.close()


def test_without_a_policy_nothing_changes(governed):
    version = governed.staged()
    assert governed.catalogue.promote(version.name, "production").stage.version == version.name


def test_a_promotion_without_the_approvals_its_policy_demands_is_refused(governed):
    policy = governed.policy(TWO_APPROVALS)
    version = governed.staged()
    error = refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.promote(version.name, "production"),
    )
    assert error.facts["missing"] == "2"
    assert governed.holder() == ""
    said = governed.evaluate(version.name)
    assert not said.allowed
    assert said.approvals_missing == 2
    check = next(each for each in said.checks if each.kind == "approvals")
    assert (check.policy, check.policy_version, check.rule, check.passed) == (policy.name, 1, "two-people", False)
    assert check.observed
    assert check.required


def test_two_people_approve_and_a_third_commits(governed):
    policy = governed.policy(TWO_APPROVALS)
    first, second = governed.person("approver"), governed.person("approver")
    version = governed.staged()
    request = governed.ask(version.name, justification="better recall")
    assert (request.state, request.approvals_missing) == (S.STATE_PENDING, 2)
    assert approve(first, request.name).approvals_missing == 1
    assert approve(second, request.name, comment="fine").state == S.STATE_APPROVED
    answer = governed.catalogue.promote(version.name, "production")
    assert answer.promotion_request == request.name
    ended = governed.get(request.name)
    assert ended.state == S.STATE_COMMITTED
    assert all(check.passed for check in ended.checks)
    history = governed.catalogue.api.stages.ListStageHistory(
        stages_pb2.ListStageHistoryRequest(parent=governed.model, stage="production")
    )
    assert history.assignments[0].promotion_request == request.name
    assert list(history.assignments[0].policies) == [f"{policy.name}@1"]
    refused("FAILED_PRECONDITION", "PROMOTION_CLOSED", lambda: approve(first, request.name))


def test_commit_does_what_the_request_asks_for(governed):
    governed.policy(ONE_APPROVAL)
    version = governed.staged()
    request = governed.ask(version.name)
    commit = pb.CommitPromotionRequest(name=request.name)
    refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED", lambda: governed.api.CommitPromotion(commit))
    approve(governed.person("approver"), request.name)
    assert governed.api.CommitPromotion(commit).state == S.STATE_COMMITTED
    assert governed.holder() == version.name


def test_auto_commit_promotes_with_the_last_approval(governed):
    governed.policy(ONE_APPROVAL)
    version = governed.staged()
    request = governed.ask(version.name, auto_commit=True)
    assert governed.holder() == ""
    assert approve(governed.person("approver"), request.name).state == S.STATE_COMMITTED
    assert governed.holder() == version.name


def test_auto_commit_moves_nothing_for_one_who_may_not_promote(governed):
    governed.policy(ONE_APPROVAL)
    version = governed.staged()
    request = governed.ask(version.name, api=governed.person("contributor"), auto_commit=True)
    assert approve(governed.person("approver"), request.name).state == S.STATE_APPROVED
    assert governed.holder() == ""


def test_nobody_approves_what_is_their_own(governed):
    governed.policy(ONE_APPROVAL)
    maker = governed.person("approver", "contributor")
    version = governed.staged()
    own = governed.ask(version.name, api=maker)
    refused("PERMISSION_DENIED", "SELF_APPROVAL", lambda: approve(maker, own.name))
    # The administrator made the version.
    refused("PERMISSION_DENIED", "SELF_APPROVAL", lambda: approve(governed.catalogue.api, own.name))


def test_approving_twice_is_approving_once(governed):
    governed.policy(TWO_APPROVALS)
    person = governed.person("approver")
    request = governed.ask(governed.staged().name)
    once = approve(person, request.name)
    twice = approve(person, request.name)
    assert (once.revision, len(twice.approvals), twice.approvals_missing) == (twice.revision, 1, 1)


def test_a_new_version_of_the_policy_voids_approvals(governed):
    policy = governed.policy(ONE_APPROVAL)
    person = governed.person("approver")
    version = governed.staged()
    request = governed.ask(version.name)
    approve(person, request.name)
    policy.description = "changed"
    assert governed.api.UpdatePolicy(pb.UpdatePolicyRequest(policy=policy)).policy_version == 2
    seen = governed.get(request.name)
    assert seen.approvals[0].void
    assert "policies" in seen.approvals[0].void_reason
    refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.promote(version.name, "production"),
    )
    assert approve(person, request.name).state == S.STATE_APPROVED


def test_a_revoked_role_voids_its_approvals_and_denies_new_ones(governed):
    governed.policy(ONE_APPROVAL)
    principal, person = governed.named("approver")
    version = governed.staged()
    request = governed.ask(version.name)
    approve(person, request.name)
    governed.office.unbind(governed.bindings[principal])
    assert governed.get(request.name).approvals[0].void
    refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.promote(version.name, "production"),
    )
    with pytest.raises(grpc.RpcError) as denied:
        approve(person, request.name)
    assert denied.value.code() in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}


def test_approving_what_was_yanked_meanwhile_is_refused(governed):
    governed.policy(ONE_APPROVAL)
    version = governed.staged()
    request = governed.ask(version.name)
    governed.catalogue.api.models.YankVersion(versions_pb2.YankVersionRequest(name=version.name, reason="bad data"))
    refused(
        "FAILED_PRECONDITION",
        "VERSION_STATE",
        lambda: approve(governed.person("approver"), request.name),
    )


def test_another_version_in_the_stage_supersedes_a_request(governed):
    mine, other = governed.staged(), governed.staged()
    request = governed.ask(mine.name)
    governed.catalogue.promote(other.name, "production")
    assert governed.get(request.name).state == S.STATE_SUPERSEDED


def test_a_rejection_stands_until_its_author_approves(governed):
    governed.policy(ONE_APPROVAL)
    person = governed.person("approver")
    version = governed.staged()
    request = governed.ask(version.name)
    assert reject(person, request.name, comment="no").state == S.STATE_REJECTED
    approve(governed.person("approver"), request.name)
    refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.promote(version.name, "production"),
    )
    assert approve(person, request.name).state == S.STATE_APPROVED
    governed.catalogue.promote(version.name, "production")


def test_withdrawing_is_for_whoever_asked_and_administrators(governed):
    asker, other = governed.person("contributor"), governed.person("contributor")
    request = governed.ask(governed.staged().name, api=asker)
    withdraw = pb.WithdrawPromotionRequest(name=request.name)
    refused("PERMISSION_DENIED", "PERMISSION_MISSING", lambda: other.governance.WithdrawPromotion(withdraw))
    assert asker.governance.WithdrawPromotion(withdraw).state == S.STATE_WITHDRAWN
    again = governed.ask(request.version, api=asker)
    assert governed.api.WithdrawPromotion(pb.WithdrawPromotionRequest(name=again.name)).state == S.STATE_WITHDRAWN


def test_one_request_is_open_for_a_version_and_stage(governed):
    request = governed.ask(governed.staged().name)
    error = refused("ALREADY_EXISTS", "RESOURCE_EXISTS", lambda: governed.ask(request.version))
    assert error.facts["resource"] == request.name
    names = [
        each.name
        for each in governed.api.ListPromotionRequests(
            pb.ListPromotionRequestsRequest(parent=governed.catalogue.parent, states=[S.STATE_APPROVED])
        ).promotion_requests
    ]
    assert names == [request.name]  # nothing is demanded, so nothing is missing


def test_a_rule_that_fails_is_named_with_what_was_found(governed):
    rules = [
        pb.PolicyRule(id="owner", required_fields=pb.RequiredFields(paths=["owner"]), description="name an owner"),
        pb.PolicyRule(id="advice", advisory=True, required_fields=pb.RequiredFields(paths=["model_card"])),
        pb.PolicyRule(id="recall", expression=pb.Expression(expression="version.tags['team'] == 'core'")),
    ]
    governed.policy(*rules)
    version = governed.staged()
    error = refused(
        "FAILED_PRECONDITION",
        "POLICY_VIOLATION",
        lambda: governed.catalogue.promote(version.name, "production"),
    )
    assert error.facts["rule"] == "owner"
    governed.catalogue.api.models.UpdateVersion(
        versions_pb2.UpdateVersionRequest(
            version=versions_pb2.ModelVersion(name=version.name, owner="ada", tags={"team": "core"})
        )
    )
    said = {check.rule: check for check in governed.evaluate(version.name).checks}
    assert said["owner"].passed
    assert not said["advice"].passed
    assert said["advice"].advisory
    governed.catalogue.promote(version.name, "production")


@pytest.mark.parametrize(
    ("expression", "part"),
    [("version.nope == 1", "nope"), ("version.owner", "bool"), ("1 +", "Syntax"), ("unknown > 1", "unknown")],
)
def test_an_expression_is_checked_when_the_policy_is_saved(governed, expression, part):
    rule = pb.PolicyRule(id="cel", expression=pb.Expression(expression=expression))
    error = refused("INVALID_ARGUMENT", "INVALID_FIELD", lambda: governed.policy(rule))
    assert "policy.rules[0].expression.expression" in error.text
    assert part in error.text


def test_break_glass_needs_its_own_permission_a_reason_and_is_loud(governed):
    governed.policy(TWO_APPROVALS)
    version = governed.staged()
    deployer = governed.person("deployer")

    def promote(api, **fields):
        request = stages_pb2.PromoteVersionRequest(name=version.name, stage="production", break_glass=True, **fields)
        return api.stages.PromoteVersion(request)

    refused("PERMISSION_DENIED", "PERMISSION_MISSING", lambda: promote(deployer, justification="fire"))
    refused("INVALID_ARGUMENT", "INVALID_FIELD", lambda: promote(governed.catalogue.api))
    answer = promote(governed.catalogue.api, justification="fire")
    events = governed.catalogue.api.events.ListEvents(
        events_pb2.ListEventsRequest(parent=governed.catalogue.parent, after_revision=answer.revision - 1)
    ).events
    assert events_pb2.EVENT_ACTION_BROKE_GLASS in {event.action for event in events}
    history = governed.catalogue.api.stages.ListStageHistory(
        stages_pb2.ListStageHistoryRequest(parent=governed.model, stage="production")
    )
    assert history.assignments[0].break_glass
    assert not history.assignments[0].policies


def test_a_rollback_passes_the_same_gates_unless_the_policy_names_a_fast_path(governed):
    first, second = governed.staged(), governed.staged()
    governed.catalogue.promote(first.name, "production")
    governed.catalogue.promote(second.name, "production")
    policy = governed.policy(ONE_APPROVAL)
    refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.rollback(governed.model),
    )
    policy.fast_rollback = True
    governed.api.UpdatePolicy(pb.UpdatePolicyRequest(policy=policy))
    assert governed.catalogue.rollback(governed.model).stage.version == first.name


def test_nothing_moves_in_or_out_of_a_frozen_stage(governed):
    stages = governed.catalogue.api.stages
    version, other = governed.staged(), governed.staged()
    governed.catalogue.promote(version.name, "production")
    name = f"{governed.model}/stages/production"
    frozen = stages.FreezeStage(stages_pb2.FreezeStageRequest(name=name, justification="holidays"))
    assert (frozen.frozen, frozen.freeze_reason, frozen.version) == (True, "holidays", version.name)
    for move in (
        lambda: governed.catalogue.promote(other.name, "production"),
        lambda: governed.catalogue.promote(version.name, "staging"),
        lambda: governed.catalogue.vacate(governed.model),
    ):
        with pytest.raises(grpc.RpcError) as error:
            move()
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert stages.GetStage(stages_pb2.GetStageRequest(name=name)).frozen
    stages.UnfreezeStage(stages_pb2.UnfreezeStageRequest(name=name))
    governed.catalogue.promote(other.name, "production")


def test_a_stage_that_never_had_a_holder_can_be_frozen(governed):
    name = f"{governed.model}/stages/production"
    stages = governed.catalogue.api.stages
    stages.FreezeStage(stages_pb2.FreezeStageRequest(name=name, justification="not yet"))
    version = governed.staged()
    refused(
        "FAILED_PRECONDITION",
        "STAGE_FROZEN",
        lambda: governed.catalogue.promote(version.name, "production"),
    )


def test_a_yanked_version_says_so_and_never_comes_back(governed):
    models = governed.catalogue.api.models
    first, second = governed.staged(), governed.staged()
    yank = versions_pb2.YankVersionRequest(name=first.name, reason="leaked data")
    governed.catalogue.promote(first.name, "production")
    refused("FAILED_PRECONDITION", "VERSION_IN_USE", lambda: models.YankVersion(yank))
    governed.catalogue.promote(second.name, "production")
    governed.catalogue.alias(governed.model, old=1)
    yanked = models.YankVersion(yank)
    assert (yanked.state, yanked.state_reason) == (versions_pb2.VERSION_STATE_YANKED, "leaked data")
    resolved = governed.catalogue.api.stages.Resolve(stages_pb2.ResolveRequest(name=governed.model, alias="old"))
    assert resolved.yanked
    refused(
        "FAILED_PRECONDITION",
        "NO_ROLLBACK_TARGET",
        lambda: governed.catalogue.rollback(governed.model),
    )
    back = models.ReinstateVersion(versions_pb2.ReinstateVersionRequest(name=first.name))
    assert (back.state, back.state_reason) == (versions_pb2.VERSION_STATE_READY, "")
    assert governed.catalogue.rollback(governed.model).stage.version == first.name
    deprecated = models.DeprecateVersion(versions_pb2.DeprecateVersionRequest(name=second.name, reason="old"))
    assert deprecated.state == versions_pb2.VERSION_STATE_DEPRECATED


def test_policies_are_versioned_and_outlive_their_deletion(governed):
    policy = governed.policy(ONE_APPROVAL)
    governed.api.UpdatePolicy(
        pb.UpdatePolicyRequest(policy=pb.Policy(name=policy.name, rules=[TWO_APPROVALS], etag=policy.etag))
    )
    stale = pb.UpdatePolicyRequest(policy=pb.Policy(name=policy.name, description="x", etag=policy.etag))
    refused("ABORTED", "ETAG_MISMATCH", lambda: governed.api.UpdatePolicy(stale))
    governed.api.DeletePolicy(pb.DeletePolicyRequest(name=policy.name))
    refused(
        "NOT_FOUND",
        "POLICY_NOT_FOUND",
        lambda: governed.api.GetPolicy(pb.GetPolicyRequest(name=policy.name)),
    )
    old = governed.api.GetPolicy(pb.GetPolicyRequest(name=policy.name, policy_version=1))
    assert old.rules[0].id == "one-person"
    found = governed.api.ListPolicyVersions(pb.ListPolicyVersionsRequest(name=policy.name)).policies
    assert [each.policy_version for each in found] == [2, 1]
    assert found[0].HasField("delete_time")
    again = governed.api.CreatePolicy(
        pb.CreatePolicyRequest(
            parent=governed.catalogue.parent,
            policy_id=policy.name.rpartition("/")[2],
            policy=pb.Policy(stages=["production"], rules=[ONE_APPROVAL]),
        )
    )
    assert again.policy_version == 3
    version = governed.staged()
    refused(
        "FAILED_PRECONDITION",
        "APPROVAL_REQUIRED",
        lambda: governed.catalogue.promote(version.name, "production"),
    )


def test_validate_only_approves_nothing(governed):
    governed.policy(ONE_APPROVAL)
    person = governed.person("approver")
    request = governed.ask(governed.staged().name)
    assert approve(person, request.name, validate_only=True).state == S.STATE_APPROVED
    assert not governed.get(request.name).approvals


def test_a_retry_under_the_same_id_gets_the_first_answer(governed):
    governed.policy(TWO_APPROVALS)
    person, mark = governed.person("approver"), request_id()
    request = governed.ask(governed.staged().name)
    first = approve(person, request.name, request_id=mark)
    assert approve(person, request.name, request_id=mark) == first


def test_a_program_is_no_person(governed):
    governed.policy(ONE_APPROVAL)
    robot = governed.office.bound("approver", governed.catalogue.parent)
    request = governed.ask(governed.staged().name)
    refused(
        "PERMISSION_DENIED",
        "PERMISSION_MISSING",
        lambda: approve(robot.at(governed.server), request.name),
    )


def test_a_purged_model_takes_its_requests_along(governed):
    request = governed.ask(governed.catalogue.ready(governed.model).name, stage="staging")
    models = governed.catalogue.api.models
    models.DeleteModel(models_pb2.DeleteModelRequest(name=governed.model, force=True))
    models.PurgeModel(models_pb2.PurgeModelRequest(name=governed.model))
    refused("NOT_FOUND", "MODEL_NOT_FOUND", lambda: governed.get(request.name))
