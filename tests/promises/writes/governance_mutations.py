"""The mutations of governance: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

import grpc

from registry_grpc.v1 import access_pb2, governance_pb2, stages_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.server import Api, WithToken

RULE = governance_pb2.PolicyRule(id="people", approvals=governance_pb2.RequiredApprovals(count=1))
POLICY = governance_pb2.Policy(stages=["production"], rules=[RULE])


def _policy(catalogue: Catalogue) -> str:
    request = governance_pb2.CreatePolicyRequest(parent=catalogue.parent, policy_id=new_id("p"), policy=POLICY)
    return catalogue.api.governance.CreatePolicy(request).name


def create_policy(catalogue: Catalogue) -> Any:
    request = governance_pb2.CreatePolicyRequest(parent=catalogue.parent, policy_id=new_id("p"), policy=POLICY)
    return request, {"policy_id": new_id("p")}


def update_policy(catalogue: Catalogue) -> Any:
    name = _policy(catalogue)
    request = governance_pb2.UpdatePolicyRequest(policy=governance_pb2.Policy(name=name, description="new"))
    return request, {"policy": governance_pb2.Policy(name=name, description="other")}


def delete_policy(catalogue: Catalogue) -> Any:
    return governance_pb2.DeletePolicyRequest(name=_policy(catalogue)), {"etag": "other"}


def _wish(version: str, reason: str) -> governance_pb2.PromotionRequest:
    return governance_pb2.PromotionRequest(version=version, stage="staging", justification=reason)


def create_request(catalogue: Catalogue) -> Any:
    version = catalogue.ready(catalogue.model()).name
    parent = version.rpartition("/versions/")[0]
    request = governance_pb2.CreatePromotionRequestRequest(parent=parent, promotion_request=_wish(version, "new"))
    return request, {"promotion_request": _wish(version, "other")}


def _request(catalogue: Catalogue) -> str:
    request, _ = create_request(catalogue)
    return catalogue.api.governance.CreatePromotionRequest(request).name


def _of_somebody_else(catalogue: Catalogue) -> str:
    """A request about a version, neither of which the caller made."""
    api, somebody = catalogue.api, f"user:{new_id('maker')}"
    binding = access_pb2.RoleBinding(role="roles/admin", members=[somebody])
    api.access.CreateRoleBinding(access_pb2.CreateRoleBindingRequest(parent=catalogue.parent, role_binding=binding))
    issued = api.access.IssueToken(access_pb2.IssueTokenRequest(principal=somebody))
    target = api.channel._channel._channel.target().decode()  # no channel says where it leads to
    channel = grpc.insecure_channel(target)
    name = _request(catalogue.on(Api(grpc.intercept_channel(channel, WithToken(issued.secret)))))
    channel.close()
    return name


def approve(catalogue: Catalogue) -> Any:
    return governance_pb2.ApprovePromotionRequest(name=_of_somebody_else(catalogue)), {"comment": "other"}


def reject(catalogue: Catalogue) -> Any:
    return governance_pb2.RejectPromotionRequest(name=_request(catalogue)), {"comment": "other"}


def withdraw(catalogue: Catalogue) -> Any:
    return governance_pb2.WithdrawPromotionRequest(name=_request(catalogue)), {"comment": "other"}


def comment(catalogue: Catalogue) -> Any:
    request = governance_pb2.CommentPromotionRequest(name=_request(catalogue), comment="new")
    return request, {"comment": "other"}


def commit(catalogue: Catalogue) -> Any:
    return governance_pb2.CommitPromotionRequest(name=_request(catalogue)), {"comment": "other"}


def freeze(catalogue: Catalogue) -> Any:
    request = stages_pb2.FreezeStageRequest(name=f"{catalogue.model()}/stages/production", justification="new")
    return request, {"justification": "other"}


def unfreeze(catalogue: Catalogue) -> Any:
    name = f"{catalogue.model()}/stages/production"
    catalogue.api.stages.FreezeStage(stages_pb2.FreezeStageRequest(name=name, justification="new"))
    return stages_pb2.UnfreezeStageRequest(name=name), {"justification": "other"}


def deprecate(catalogue: Catalogue) -> Any:
    name = catalogue.ready(catalogue.model()).name
    return versions_pb2.DeprecateVersionRequest(name=name, reason="new"), {"reason": "other"}


def yank(catalogue: Catalogue) -> Any:
    name = catalogue.ready(catalogue.model()).name
    return versions_pb2.YankVersionRequest(name=name, reason="new"), {"reason": "other"}


def reinstate(catalogue: Catalogue) -> Any:
    name = catalogue.ready(catalogue.model()).name
    catalogue.api.models.YankVersion(versions_pb2.YankVersionRequest(name=name, reason="new"))
    return versions_pb2.ReinstateVersionRequest(name=name), {"reason": "other"}


GOVERNANCE_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "GovernanceService.CreatePolicy": create_policy,
    "GovernanceService.UpdatePolicy": update_policy,
    "GovernanceService.DeletePolicy": delete_policy,
    "GovernanceService.CreatePromotionRequest": create_request,
    "GovernanceService.ApprovePromotion": approve,
    "GovernanceService.RejectPromotion": reject,
    "GovernanceService.WithdrawPromotion": withdraw,
    "GovernanceService.CommentPromotion": comment,
    "GovernanceService.CommitPromotion": commit,
    "StageService.FreezeStage": freeze,
    "StageService.UnfreezeStage": unfreeze,
    "ModelService.DeprecateVersion": deprecate,
    "ModelService.YankVersion": yank,
    "ModelService.ReinstateVersion": reinstate,
}
GOVERNANCE_READS = {
    "GovernanceService.GetPolicy",
    "GovernanceService.ListPolicies",
    "GovernanceService.ListPolicyVersions",
    "GovernanceService.GetPromotionRequest",
    "GovernanceService.ListPromotionRequests",
    "StageService.EvaluatePromotion",
}
EMPTY_GOVERNANCE_ANSWERS = {"GovernanceService.DeletePolicy"}
