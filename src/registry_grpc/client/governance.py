"""Governance: policies, and requests for promotion with their approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message, timestamp
from registry_grpc.client.session import Session
from registry_grpc.v1 import governance_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class PolicyCalls(Session):
    """Policies, at `registry.policies`. Every method raises RegistryError.

    A policy is given as its resource name, or its id alone for one in the project of this client.
    """

    def create(self, policy: str, **fields: Any) -> pb.Policy:  # noqa: ANN401 -- checked by field
        """The new policy, in force at once; `fields` are those of the message."""
        parent, _, policy_id = self.name_of(policy).rpartition("/policies/")
        wanted = message(pb.Policy, fields, "policy")
        request = pb.CreatePolicyRequest(parent=parent, policy_id=policy_id, policy=wanted)
        return self._connection.write(self._connection.stubs.governance.CreatePolicy, request)

    def get(self, policy: str, *, version: int = 0) -> pb.Policy:
        """One policy, as it is or as it was."""
        request = pb.GetPolicyRequest(name=self.name_of(policy), policy_version=version)
        return self._connection.read(self._connection.stubs.governance.GetPolicy, request)

    def list(self, project: str | None = None, *, page_size: int = 0) -> Iterable[pb.Policy]:
        """The policies of a project, by id; fetched page by page. None means the project of this client."""
        parent = self.project_name(project)

        def fetch(token: str) -> pb.ListPoliciesResponse:
            request = pb.ListPoliciesRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.governance.ListPolicies, request)

        return Pages[pb.Policy](fetch, "policies")

    def versions(self, policy: str, *, page_size: int = 0) -> Iterable[pb.Policy]:
        """Every version of a policy, the newest first, also of a deleted one."""
        name = self.name_of(policy)

        def fetch(token: str) -> pb.ListPolicyVersionsResponse:
            request = pb.ListPolicyVersionsRequest(name=name, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.governance.ListPolicyVersions, request)

        return Pages[pb.Policy](fetch, "policies")

    def update(self, policy: str, *, etag: str = "", **fields: Any) -> pb.Policy:  # noqa: ANN401 -- checked by field
        """The changed policy, a new version of it; approvals given under the one before are void."""
        changed = message(pb.Policy, fields, "policy")
        changed.name = self.name_of(policy)
        changed.etag = etag
        request = pb.UpdatePolicyRequest(policy=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.governance.UpdatePolicy, request)

    def delete(self, policy: str, *, etag: str = "") -> None:
        """Delete it; its versions can still be read."""
        request = pb.DeletePolicyRequest(name=self.name_of(policy), etag=etag)
        self._connection.write(self._connection.stubs.governance.DeletePolicy, request)

    def name_of(self, policy: str) -> str:
        """Resource name of a policy in any form of this class."""
        return policy if "/" in policy else f"{self.project_name()}/policies/{policy}"


class PromotionRequestCalls(Session):
    """Requests for promotion, at `registry.promotion_requests`. Every method raises RegistryError.

    A request is given as its resource name.
    """

    def create(
        self,
        version: str,
        stage: str,
        *,
        reason: str = "",
        auto_commit: bool = False,
        expire_time: datetime | None = None,
    ) -> pb.PromotionRequest:
        """Ask for the promotion of a version, given as its resource name."""
        wish = pb.PromotionRequest(version=version, stage=stage, justification=reason, auto_commit=auto_commit)
        if expire_time is not None:
            wish.expire_time.CopyFrom(timestamp(expire_time, "expire_time"))
        parent = version.rpartition("/versions/")[0]
        request = pb.CreatePromotionRequestRequest(parent=parent, promotion_request=wish)
        return self._connection.write(self._connection.stubs.governance.CreatePromotionRequest, request)

    def get(self, name: str) -> pb.PromotionRequest:
        """One request; while it is open with its checks as they are now."""
        request = pb.GetPromotionRequestRequest(name=name)
        return self._connection.read(self._connection.stubs.governance.GetPromotionRequest, request)

    def list(
        self,
        parent: str | None = None,
        *,
        states: Iterable[pb.PromotionRequest.State.ValueType] = (),
        page_size: int = 0,
    ) -> Iterable[pb.PromotionRequest]:
        """Requests of a project or model, the newest first. None means the project of this client."""
        where, wanted = self.project_name() if parent is None else parent, [*states]

        def fetch(token: str) -> pb.ListPromotionRequestsResponse:
            request = pb.ListPromotionRequestsRequest(
                parent=where, states=wanted, page_size=page_size, page_token=token
            )
            return self._connection.read(self._connection.stubs.governance.ListPromotionRequests, request)

        return Pages[pb.PromotionRequest](fetch, "promotion_requests")

    def approve(self, name: str, comment: str = "", *, etag: str = "") -> pb.PromotionRequest:
        """Say yes, to what somebody else made and asked for."""
        request = pb.ApprovePromotionRequest(name=name, comment=comment, etag=etag)
        return self._connection.write(self._connection.stubs.governance.ApprovePromotion, request)

    def reject(self, name: str, comment: str = "", *, etag: str = "") -> pb.PromotionRequest:
        """Say no; it stands until whoever said it approves."""
        request = pb.RejectPromotionRequest(name=name, comment=comment, etag=etag)
        return self._connection.write(self._connection.stubs.governance.RejectPromotion, request)

    def withdraw(self, name: str, comment: str = "", *, etag: str = "") -> pb.PromotionRequest:
        """Take it back."""
        request = pb.WithdrawPromotionRequest(name=name, comment=comment, etag=etag)
        return self._connection.write(self._connection.stubs.governance.WithdrawPromotion, request)

    def comment(self, name: str, comment: str, *, etag: str = "") -> pb.PromotionRequest:
        """Add a comment."""
        request = pb.CommentPromotionRequest(name=name, comment=comment, etag=etag)
        return self._connection.write(self._connection.stubs.governance.CommentPromotion, request)

    def commit(self, name: str, comment: str = "", *, etag: str = "") -> pb.PromotionRequest:
        """Promote as it asks."""
        request = pb.CommitPromotionRequest(name=name, comment=comment, etag=etag)
        return self._connection.write(self._connection.stubs.governance.CommitPromotion, request)
