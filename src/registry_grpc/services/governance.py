"""GovernanceService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import Scope
from registry_grpc.domain.governance_names import PolicyName, PromotionRequestName
from registry_grpc.domain.names import ModelName, ProjectName, VersionName
from registry_grpc.services.codec.governance import (
    REQUEST_STATE,
    policy_changes,
    policy_to_wire,
    promotion_request_to_wire,
)
from registry_grpc.services.codec.times import optional_time_from_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.usecases.governance.requests import Wish
from registry_grpc.v1 import governance_pb2, governance_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.governance import decisions, looking, policies, requests

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LIST = "promotionRequests.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceVerbs:
    """The use cases of policies and promotion requests."""

    create_policy: policies.CreatePolicy
    get_policy: policies.GetPolicy
    list_policies: policies.ListPolicies
    list_policy_versions: policies.ListPolicyVersions
    update_policy: policies.UpdatePolicy
    delete_policy: policies.DeletePolicy
    create: requests.CreatePromotionRequest
    get: looking.GetPromotionRequest
    list: looking.ListPromotionRequests
    approve: decisions.DecideOnPromotion
    reject: decisions.DecideOnPromotion
    withdraw: requests.WithdrawPromotion
    comment: requests.CommentPromotion
    commit: requests.CommitPromotion


class GovernanceServicer(governance_pb2_grpc.GovernanceServiceServicer):
    """Policies and promotion requests."""

    def __init__(self, edge: Edge, pages: Pages, verbs: GovernanceVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs

    async def CreatePolicy(
        self, request: governance_pb2.CreatePolicyRequest, context: Context
    ) -> governance_pb2.Policy:
        name = PolicyName(ProjectName.parse(request.parent, "parent").project, request.policy_id)
        fields = policy_changes(request.policy, fields_to_create(request.policy))
        return await self._edge.mutate(
            request, lambda call: self._verbs.create_policy(call, name, fields), policy_to_wire
        )

    async def GetPolicy(self, request: governance_pb2.GetPolicyRequest, context: Context) -> governance_pb2.Policy:
        name = PolicyName.parse(request.name)
        return policy_to_wire(await self._edge.read(lambda: self._verbs.get_policy(name, request.policy_version)))

    async def ListPolicies(
        self, request: governance_pb2.ListPoliciesRequest, context: Context
    ) -> governance_pb2.ListPoliciesResponse:
        parent = ProjectName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.list_policies(parent, after=after, limit=page.limit))
        items, token = page.close(found, lambda policy: (policy.name.policy,), policy_to_wire)
        return governance_pb2.ListPoliciesResponse(policies=items, next_page_token=token)

    async def UpdatePolicy(
        self, request: governance_pb2.UpdatePolicyRequest, context: Context
    ) -> governance_pb2.Policy:
        name = PolicyName.parse(request.policy.name, "policy.name")
        changes = policy_changes(request.policy, fields_to_update(request.policy, request.update_mask))
        return await self._edge.mutate(
            request, lambda call: self._verbs.update_policy(call, name, request.policy.etag, changes), policy_to_wire
        )

    async def DeletePolicy(
        self, request: governance_pb2.DeletePolicyRequest, context: Context
    ) -> governance_pb2.DeletePolicyResponse:
        name = PolicyName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.delete_policy(call, name, request.etag),
            lambda _: governance_pb2.DeletePolicyResponse(),
        )

    async def ListPolicyVersions(
        self, request: governance_pb2.ListPolicyVersionsRequest, context: Context
    ) -> governance_pb2.ListPolicyVersionsResponse:
        name = PolicyName.parse(request.name)
        page = self._pages.open(request)
        before = int(page.after[0]) if page.after else 0
        found = await self._edge.read(lambda: self._verbs.list_policy_versions(name, before=before, limit=page.limit))
        items, token = page.close(found, lambda policy: (policy.policy_version,), policy_to_wire)
        return governance_pb2.ListPolicyVersionsResponse(policies=items, next_page_token=token)

    async def CreatePromotionRequest(
        self, request: governance_pb2.CreatePromotionRequestRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        parent = ModelName.parse(request.parent, "parent")
        wished = request.promotion_request
        wish = Wish(
            version=VersionName.parse(wished.version, "promotion_request.version"),
            stage=wished.stage,
            justification=wished.justification,
            auto_commit=wished.auto_commit,
            expire_time=optional_time_from_wire(wished, "expire_time", "promotion_request"),
        )
        return await self._edge.mutate(
            request, lambda call: self._verbs.create(call, parent, wish), promotion_request_to_wire
        )

    async def GetPromotionRequest(
        self, request: governance_pb2.GetPromotionRequestRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        return promotion_request_to_wire(await self._edge.read(lambda: self._verbs.get(name)))

    async def ListPromotionRequests(
        self, request: governance_pb2.ListPromotionRequestsRequest, context: Context
    ) -> governance_pb2.ListPromotionRequestsResponse:
        scope = Scope.parse(request.parent, "parent")
        rights = call_context().rights
        only = rights.models_with(_LIST, scope.project)
        if scope.model and only is not None and scope.model not in only:
            raise rights.refusal(_LIST, scope.project, request.parent)
        states = frozenset(REQUEST_STATE.from_wire(state, f"states[{at}]") for at, state in enumerate(request.states))
        page = self._pages.open(request)
        before = None
        if page.after is not None:
            before = (_EPOCH + int(page.after[0]) * _MICROSECOND, str(page.after[1]))
        found = await self._edge.read(
            lambda: self._verbs.list(scope.project, scope.model, states, before=before, limit=page.limit)
        )

        def shown(each: PromotionRequest) -> governance_pb2.PromotionRequest | None:
            is_wanted = (only is None or each.name.model in only) and (not states or each.state in states)
            return promotion_request_to_wire(each) if is_wanted else None

        items, token = page.close(found, lambda each: ((each.create_time - _EPOCH) // _MICROSECOND, each.uid), shown)
        return governance_pb2.ListPromotionRequestsResponse(promotion_requests=items, next_page_token=token)

    async def ApprovePromotion(
        self, request: governance_pb2.ApprovePromotionRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.approve(call, name, request.etag, request.comment),
            promotion_request_to_wire,
        )

    async def RejectPromotion(
        self, request: governance_pb2.RejectPromotionRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.reject(call, name, request.etag, request.comment),
            promotion_request_to_wire,
        )

    async def WithdrawPromotion(
        self, request: governance_pb2.WithdrawPromotionRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        rights = call_context().rights
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.withdraw(
                call,
                name,
                request.etag,
                request.comment,
                refuse_others=lambda: rights.require(
                    "promotionRequests.administer", name.project, name.model, str(name)
                ),
            ),
            promotion_request_to_wire,
        )

    async def CommentPromotion(
        self, request: governance_pb2.CommentPromotionRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.comment(call, name, request.etag, request.comment),
            promotion_request_to_wire,
        )

    async def CommitPromotion(
        self, request: governance_pb2.CommitPromotionRequest, context: Context
    ) -> governance_pb2.PromotionRequest:
        name = PromotionRequestName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.commit(call, name, request.etag, request.comment),
            promotion_request_to_wire,
        )
