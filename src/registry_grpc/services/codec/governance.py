"""Policies, promotion requests, and how rules came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.promotion import Decision, RequestState
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.rules import rule_from_wire, rule_to_wire
from registry_grpc.services.codec.times import optional_time_to_wire, time_to_wire
from registry_grpc.v1 import governance_pb2, stages_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from registry_grpc.domain.policies import Policy
    from registry_grpc.domain.promotion import Approval, CheckResult, PromotionRequest
    from registry_grpc.usecases.governance.evaluating import Explanation

REQUEST_STATE = EnumCodec(RequestState, governance_pb2.PromotionRequest.State, "STATE_")
_DECISION = EnumCodec(Decision, governance_pb2.PromotionRequest.Decision, "DECISION_")


def policy_to_wire(policy: Policy) -> governance_pb2.Policy:
    """The resource."""
    return governance_pb2.Policy(
        name=str(policy.name),
        uid=policy.uid,
        display_name=policy.display_name,
        description=policy.description,
        models=policy.models,
        stages=policy.stages,
        rules=[rule_to_wire(rule) for rule in policy.rules],
        disabled=policy.disabled,
        fast_rollback=policy.fast_rollback,
        policy_version=policy.policy_version,
        create_time=time_to_wire(policy.create_time),
        update_time=time_to_wire(policy.update_time),
        delete_time=optional_time_to_wire(policy.delete_time),
        editor=policy.editor,
        etag=policy.etag,
        revision=policy.revision,
    )


_POLICY: dict[str, Callable[[governance_pb2.Policy, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "models": lambda message, _: tuple(dict.fromkeys(message.models)),
    "stages": lambda message, _: tuple(dict.fromkeys(message.stages)),
    "rules": lambda message, path: tuple(
        rule_from_wire(rule, f"{path}[{at}]") for at, rule in enumerate(message.rules)
    ),
    "disabled": lambda message, _: message.disabled,
    "fast_rollback": lambda message, _: message.fast_rollback,
}


def policy_changes(message: governance_pb2.Policy, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `Policy` for `dataclasses.replace`, of those in `fields` that a caller may set.

    Raises: INVALID_FIELD.
    """
    return changes_of(_POLICY, message, fields, "policy")


def check_to_wire(check: CheckResult) -> governance_pb2.CheckResult:
    """How one rule came out."""
    return governance_pb2.CheckResult(
        policy=check.policy,
        policy_version=check.policy_version,
        rule=check.rule,
        kind=check.kind,
        passed=check.passed,
        advisory=check.advisory,
        observed=check.observed,
        required=check.required,
        hint=check.hint,
    )


def explanation_to_wire(explanation: Explanation) -> stages_pb2.EvaluatePromotionResponse:
    """How every rule came out."""
    return stages_pb2.EvaluatePromotionResponse(
        allowed=explanation.allowed,
        checks=[check_to_wire(check) for check in explanation.checks],
        approvals_missing=explanation.approvals_missing,
        promotion_request=explanation.promotion_request,
        recommended_fields=explanation.recommended_fields,
        revision=explanation.revision,
    )


def promotion_request_to_wire(request: PromotionRequest) -> governance_pb2.PromotionRequest:
    """The resource."""
    return governance_pb2.PromotionRequest(
        name=str(request.name),
        uid=request.uid,
        version=str(request.version),
        stage=request.stage,
        justification=request.justification,
        manifest_digest=request.manifest_digest,
        base_version=request.base_version,
        state=REQUEST_STATE.to_wire(request.state),
        approvals=[_approval_to_wire(each) for each in request.approvals],
        comments=[
            governance_pb2.PromotionRequest.Comment(
                principal=each.principal, text=each.text, time=time_to_wire(each.time)
            )
            for each in request.comments
        ],
        checks=[check_to_wire(check) for check in request.checks],
        approvals_missing=request.approvals_missing,
        auto_commit=request.auto_commit,
        creator=request.creator,
        create_time=time_to_wire(request.create_time),
        update_time=time_to_wire(request.update_time),
        expire_time=time_to_wire(request.expire_time),
        end_time=optional_time_to_wire(request.end_time),
        etag=request.etag,
        revision=request.revision,
    )


def _approval_to_wire(approval: Approval) -> governance_pb2.PromotionRequest.Approval:
    return governance_pb2.PromotionRequest.Approval(
        principal=approval.principal,
        decision=_DECISION.to_wire(approval.decision),
        comment=approval.comment,
        time=time_to_wire(approval.time),
        void=bool(approval.void_reason),
        void_reason=approval.void_reason,
    )
