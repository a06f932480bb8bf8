"""Decisions on promotion requests. Nobody decides on what is their own, and the last word of a person counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import PolicyError, Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.promotion import (
    MAX_DECISIONS,
    Approval,
    Binding,
    Decision,
    PromotionRequest,
    RequestState,
    require_open,
)
from registry_grpc.domain.stages import require_assignable
from registry_grpc.usecases.governance.gate import owners_of
from registry_grpc.usecases.governance.looking import attempt_of, held_request, known_request, shown
from registry_grpc.usecases.governance.requests import commitment
from registry_grpc.usecases.governance.standing import APPROVE, is_person, promote_grant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.governance_names import PromotionRequestName
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.governance.gate import Gate, Judgement
    from registry_grpc.usecases.moving import StageChange

_WORDS = {Decision.APPROVED: Action.APPROVED, Decision.REJECTED: Action.REJECTED}


@dataclass(frozen=True, slots=True)
class DecideOnPromotion:
    """Says yes or no."""

    store: Store
    gate: Gate
    decision: Decision

    def __call__(
        self, call: Call[PromotionRequest], name: PromotionRequestName, etag: str, comment: str
    ) -> Committed[PromotionRequest]:
        """Saying the same again changes nothing while it counts.

        Raises: PROMOTION_REQUEST_NOT_FOUND, PROMOTION_CLOSED, ETAG_MISMATCH, VERSION_STATE, SELF_APPROVAL,
            PERMISSION_MISSING.
        """

        def work(unit: Unit) -> PromotionRequest:
            model, request = held_request(unit, name, etag)
            require_open(request)
            if request.expire_time <= unit.now:
                require_open(replace(request, state=RequestState.EXPIRED))
            attempt = attempt_of(unit, model, request)
            require_assignable(attempt.version)
            self._require_right(call, request, attempt.version, model)
            judgement = self.gate.judge(unit, attempt, with_request=request)
            present = judgement.request or request
            known = present.decision_of(call.principal.name)
            if known is not None and self._stands(known, judgement, unit.now):
                return present
            approval = Approval(
                principal=call.principal.name,
                decision=self.decision,
                comment=comment,
                time=unit.now,
                groups=call.principal.groups,
                binding=Binding(attempt.version.manifest_digest, judgement.policies, attempt.base_version),
            )
            if known is None and len(request.approvals) >= MAX_DECISIONS:
                raise RegistryError(
                    Reason.QUOTA_EXCEEDED,
                    f"{MAX_DECISIONS} people decided on {name}, which is the limit",
                    resource=name,
                    quota="decisions",
                    limit=MAX_DECISIONS,
                )
            decided = replace(request.decided(approval), update_time=unit.now)
            return self._write(unit, call, model, decided)

        return self.store.write(work, call)

    def _stands(self, known: Approval, judgement: Judgement, now: datetime) -> bool:
        """Whether saying it again would change nothing; an approval that gets too old is given anew."""
        if known.decision is not self.decision or known.void_reason:
            return False
        return judgement.renew_after is None or now - known.time <= judgement.renew_after

    def _write(self, unit: Unit, call: Call[Any], model: Model, decided: PromotionRequest) -> PromotionRequest:
        """Keep the decision; when it was the last that was missing and the request says so, promote at once."""
        if decided.auto_commit and shown(unit, self.gate, model, decided).state is RequestState.APPROVED:
            promote = self._promotion(unit, call, model, decided)
            if promote is not None:
                promote()
                ended = known_request(unit, decided.name)
                unit.record(_WORDS[self.decision], ended)
                return ended
        after = shown(unit, self.gate, model, replace(decided, revision=unit.advance(str(decided.name))))
        unit.promotion_requests.update(after)
        unit.record(_WORDS[self.decision], after)
        return after

    def _promotion(
        self, unit: Unit, call: Call[Any], model: Model, decided: PromotionRequest
    ) -> Callable[[], StageChange] | None:
        """In the rights of whoever opened the request; None when they may not, or something else is in the way."""
        grant = promote_grant(unit, decided, model)
        if grant is None:
            return None
        try:
            return commitment(unit, call, self.gate, model, decided, grant)
        except RegistryError:
            return None

    def _require_right(self, call: Call[Any], request: PromotionRequest, version: Version, model: Model) -> None:
        call.grant.require(version.name, stages=(request.stage,), tags=(model.tags, version.tags))
        if self.decision is Decision.REJECTED:
            return
        if call.principal.name in owners_of(request, version):
            raise PolicyError(
                Reason.SELF_APPROVAL,
                f"you opened {request.name}, or made or uploaded to {version.name}; somebody else must approve it",
                promotionRequest=request.name,
            )
        if not is_person(call.principal.name):
            raise PolicyError(
                Reason.PERMISSION_MISSING,
                f"{call.principal.name} is a program; people approve {request.name}",
                permission=APPROVE,
                resource=request.name,
            )
