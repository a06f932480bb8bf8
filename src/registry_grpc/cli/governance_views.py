"""What a table shows of policies, promotion requests and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.cli.output import Columns, short_enum, when
from registry_grpc.cli.views import last
from registry_grpc.v1 import governance_pb2

if TYPE_CHECKING:
    from registry_grpc.v1.governance_pb2 import CheckResult, Policy, PromotionRequest


def _state(request: PromotionRequest) -> str:
    return short_enum(governance_pb2.PromotionRequest.State, request.state, "STATE_")


def _decisions(request: PromotionRequest) -> str:
    kind = governance_pb2.PromotionRequest.Decision
    return ", ".join(
        f"{each.principal} {short_enum(kind, each.decision, 'DECISION_')}"
        + (f" (void: {each.void_reason})" if each.void else "")
        for each in request.approvals
    )


def _outcome(check: CheckResult) -> str:
    return "passed" if check.passed else "advice" if check.advisory else "FAILED"


def _failed(request: PromotionRequest) -> str:
    return ", ".join(f"{check.rule}: {check.observed}" for check in request.checks if not check.passed)


def _rules(policy: Policy) -> str:
    return ", ".join(rule.id for rule in policy.rules)


POLICIES: Columns = {
    "policy": lambda policy: last(policy.name),
    "version": lambda policy: policy.policy_version,
    "stages": lambda policy: ", ".join(policy.stages),
    "models": lambda policy: ", ".join(policy.models) or "all",
    "rules": _rules,
    "disabled": lambda policy: "yes" if policy.disabled else "",
    "changed": lambda policy: when(policy, "update_time"),
    "by": lambda policy: policy.editor,
}
POLICY: Columns = {
    "name": lambda policy: policy.name,
    "description": lambda policy: policy.description,
    **{heading: show for heading, show in POLICIES.items() if heading != "policy"},
    "fast rollback": lambda policy: "yes" if policy.fast_rollback else "",
    "etag": lambda policy: policy.etag,
}
REQUESTS: Columns = {
    "request": lambda request: request.name,
    "version": lambda request: last(request.version),
    "stage": lambda request: request.stage,
    "state": _state,
    "missing": lambda request: request.approvals_missing or "",
    "by": lambda request: request.creator,
    "until": lambda request: when(request, "expire_time"),
}
REQUEST: Columns = {
    "name": lambda request: request.name,
    "version": lambda request: request.version,
    "stage": lambda request: request.stage,
    "why": lambda request: request.justification,
    "state": _state,
    "decisions": _decisions,
    "approvals missing": lambda request: request.approvals_missing,
    "failed": _failed,
    "comments": lambda request: "; ".join(f"{each.principal}: {each.text}" for each in request.comments),
    "auto commit": lambda request: "yes" if request.auto_commit else "",
    "by": lambda request: request.creator,
    "until": lambda request: when(request, "expire_time"),
    "ended": lambda request: when(request, "end_time"),
}
CHECKS: Columns = {
    "policy": lambda check: f"{last(check.policy)}@{check.policy_version}" if check.policy else "registry",
    "rule": lambda check: check.rule,
    "outcome": _outcome,
    "observed": lambda check: check.observed,
    "required": lambda check: check.required,
    "hint": lambda check: check.hint,
}
