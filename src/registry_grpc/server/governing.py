"""The servicers of stages and of governance, and their use cases; a part of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.promotion import Decision
from registry_grpc.services.governance import GovernanceServicer, GovernanceVerbs
from registry_grpc.services.stages import StageServicer
from registry_grpc.usecases import stages
from registry_grpc.usecases.governance import decisions, looking, policies, requests
from registry_grpc.usecases.governance.evaluating import EvaluatePromotion
from registry_grpc.usecases.governance.freezing import FreezeStage

if TYPE_CHECKING:
    from registry_grpc.ports.clock import Ids
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.services.resolving import Resolver
    from registry_grpc.services.stages import StageObserver
    from registry_grpc.usecases.governance.gate import Gate


def governance_servicer(edge: Edge, pages: Pages, ids: Ids, gate: Gate) -> GovernanceServicer:
    """Policies and promotion requests over the store of `edge`."""
    store = edge.store
    verbs = GovernanceVerbs(
        create_policy=policies.CreatePolicy(store, ids, gate.expressions),
        get_policy=policies.GetPolicy(store),
        list_policies=policies.ListPolicies(store),
        list_policy_versions=policies.ListPolicyVersions(store),
        update_policy=policies.UpdatePolicy(store, gate.expressions),
        delete_policy=policies.DeletePolicy(store),
        create=requests.CreatePromotionRequest(store, ids, gate),
        get=looking.GetPromotionRequest(store, gate),
        list=looking.ListPromotionRequests(store, gate),
        approve=decisions.DecideOnPromotion(store, gate, Decision.APPROVED),
        reject=decisions.DecideOnPromotion(store, gate, Decision.REJECTED),
        withdraw=requests.WithdrawPromotion(store),
        comment=requests.CommentPromotion(store, gate),
        commit=requests.CommitPromotion(store, gate),
    )
    return GovernanceServicer(edge, pages, verbs)


def stage_servicer(edge: Edge, pages: Pages, resolver: Resolver, observer: StageObserver, gate: Gate) -> StageServicer:
    """Stages over the store of `edge`."""
    store = edge.store
    return StageServicer(
        edge,
        pages,
        resolver,
        observer,
        get=stages.GetStage(store),
        list_stages=stages.ListStages(store),
        history=stages.ListStageHistory(store),
        promote=stages.PromoteVersion(store, gate),
        rollback=stages.RollbackStage(store, gate),
        vacate=stages.VacateStage(store),
        evaluate=EvaluatePromotion(store, gate),
        freeze=FreezeStage(store),
        unfreeze=FreezeStage(store, frozen=False),
    )
