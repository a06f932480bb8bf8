"""People, policies and promotion requests for tests of governance."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import governance_pb2 as pb
from registry_grpc.v1 import stages_pb2
from tests.kit import refusals
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.server import Api, RegistryServer

TWO_APPROVALS = pb.PolicyRule(id="two-people", approvals=pb.RequiredApprovals(count=2))
ONE_APPROVAL = pb.PolicyRule(id="one-person", approvals=pb.RequiredApprovals(count=1))


class Governed:
    """One project with a model, its administrator, and people who may approve or deploy."""

    def __init__(self, server: RegistryServer) -> None:
        self.server = server
        self.office = Office(server)
        self.catalogue = Catalogue(self.office.api)
        self.api = self.office.api.governance
        self.model = self.catalogue.model()
        self.bindings: dict[str, str] = {}

    def close(self) -> None:
        self.office.close()

    def person(self, *roles: str) -> Api:
        """Somebody with these roles on the project."""
        return self.named(*roles)[1]

    def named(self, *roles: str) -> tuple[str, Api]:
        """As `person`, with who it is."""
        principal = f"user:{new_id('person')}"
        for role in roles:
            self.bindings[principal] = self.office.bind(role, self.catalogue.parent, principal).name
        return principal, self.server.api(self.office.issue(principal).secret)

    def policy(self, *rules: pb.PolicyRule, stages: tuple[str, ...] = ("production",), **fields: Any) -> pb.Policy:
        policy = pb.Policy(stages=stages, rules=rules, **fields)
        return self.api.CreatePolicy(
            pb.CreatePolicyRequest(parent=self.catalogue.parent, policy_id=new_id("policy"), policy=policy)
        )

    def staged(self, **fields: Any) -> Any:
        """A version in staging."""
        version = self.catalogue.ready(self.model, **fields)
        self.catalogue.promote(version.name, "staging")
        return version

    def ask(
        self, version: str, stage: str = "production", api: Api | None = None, **fields: Any
    ) -> pb.PromotionRequest:
        wish = pb.PromotionRequest(version=version, stage=stage, **fields)
        parent = version.rpartition("/versions/")[0]
        governance = api.governance if api else self.api
        return governance.CreatePromotionRequest(
            pb.CreatePromotionRequestRequest(parent=parent, promotion_request=wish)
        )

    def get(self, request: str) -> pb.PromotionRequest:
        return self.api.GetPromotionRequest(pb.GetPromotionRequestRequest(name=request))

    def evaluate(self, version: str, stage: str = "production") -> stages_pb2.EvaluatePromotionResponse:
        return self.catalogue.api.stages.EvaluatePromotion(
            stages_pb2.EvaluatePromotionRequest(name=version, stage=stage)
        )

    def holder(self, stage: str = "production") -> str:
        name = f"{self.model}/stages/{stage}"
        return self.catalogue.api.stages.GetStage(stages_pb2.GetStageRequest(name=name)).version


def approve(api: Api, request: str, **fields: Any) -> pb.PromotionRequest:
    return api.governance.ApprovePromotion(pb.ApprovePromotionRequest(name=request, **fields))


def reject(api: Api, request: str, **fields: Any) -> pb.PromotionRequest:
    return api.governance.RejectPromotion(pb.RejectPromotionRequest(name=request, **fields))


def refused(code: str, reason: str, call: Callable[[], Any]) -> refusals.Refusal:
    """How `call` is refused, which must be with this."""
    refusal = refusals.refused(call)
    assert (refusal.code, refusal.reason) == (code, reason), refusal
    return refusal
