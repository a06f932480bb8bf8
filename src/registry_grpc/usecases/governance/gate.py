"""The gate between a version and a stage. Every promotion and rollback goes through it, inside its transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain import policies as rules
from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.domain.evaluation import Facts, approval_lives, evaluate, kinds_of
from registry_grpc.domain.policies import Policy
from registry_grpc.domain.promotion import Binding, Decision, PromotionRequest, RequestState, judged
from registry_grpc.usecases.governance.standing import approvers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.domain.promotion import Approval, Approver, CheckResult
    from registry_grpc.domain.resources import Model, StageDefinition, Version
    from registry_grpc.ports.governance import Expressions
    from registry_grpc.ports.store import Reader, Unit

_MOVES = 1000
"""Rows of history of one version that are looked at."""
EXPRESSIONS_S = 1.0
"""For all expressions of one promotion together."""
_AGAINST_HOLDER = frozenset(
    {rules.MetricAgainstHolder, rules.CompatibleSignature, rules.GrowingLabel, rules.Expression}
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A version on its way into a stage, all of it locked."""

    model: Model
    stage: StageDefinition
    version: Version
    before: Pointer
    rollback: bool = False
    displaced: Version | None = None
    """The holder, when it was read already."""

    @property
    def base_version(self) -> int:
        """What approvals are bound to: the holder of an exclusive stage."""
        return self.before.number if self.stage.exclusive else 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policies say."""

    checks: tuple[CheckResult, ...] = ()
    approvals_missing: int = 0
    policies: tuple[str, ...] = ()
    """Those in force, as `{name}@{policy_version}`, sorted."""
    applied: tuple[str, ...] = ()
    """Those of them that were asked: a rollback passes by some."""
    request: PromotionRequest | None = None
    """The open request for this promotion, judged."""
    others: tuple[PromotionRequest, ...] = ()
    """Open requests that bring other versions into the stage."""
    fast: bool = False
    """A rollback that every policy in force lets pass unasked: no decision on the request matters."""
    renew_after: timedelta | None = None
    """Age at which approvals do not count any more for some rule."""

    @property
    def failed(self) -> Sequence[CheckResult]:
        """Rules that refuse, but for approvals."""
        return [check for check in self.checks if check.refuses and check.kind != "approvals"]

    @property
    def rejected(self) -> bool:
        """Whether somebody's no stands."""
        return not self.fast and self.request is not None and self.request.state is RequestState.REJECTED

    @property
    def allowed(self) -> bool:
        """Whether nothing is missing."""
        return not self.rejected and not any(check.refuses for check in self.checks)


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges promotions by the policies in force."""

    expressions: Expressions | None = None

    def judge(
        self,
        reader: Reader,
        attempt: Attempt,
        *,
        with_request: PromotionRequest | None = None,
        hold: Callable[[], None] | None = None,
    ) -> Judgement:
        """What the policies say now. `with_request` stands in for the open request of that name.

        `hold` keeps roles and bindings as they are, and is called before approvals are counted.
        """
        model, version = attempt.model, attempt.version
        found = reader.policies.standing(model.name.project, model.uid, attempt.stage.id)
        kept = [each for each in found if isinstance(each, PromotionRequest)]
        guarding = [one for one in found if isinstance(one, Policy) and one.guards(model.name, attempt.stage.id)]
        asked = [policy for policy in guarding if not (attempt.rollback and policy.fast_rollback)]
        request, others = _requests(reader, attempt, kept, with_request)
        if not guarding and request is None:
            return Judgement(others=others)
        fast = bool(guarding) and not asked
        pinned = tuple(sorted(policy.pinned for policy in guarding))
        lives = approval_lives(asked)
        approvers: dict[str, Approver] = {}
        if request is not None and request.approvals and not fast:
            if hold is not None:
                hold()
            approvers = approvers_of(reader, request, model, version)
            binding = Binding(version.manifest_digest, pinned, attempt.base_version)
            decisions = judged(request, binding, approvers, owners_of(request, version))
            decisions = tuple(_aged(each, lives, reader.now) for each in decisions)
            request = replace(request, approvals=decisions)
        facts = self._facts(reader, attempt, asked, request, approvers)
        evaluation = evaluate(asked, facts)
        judgement = Judgement(
            checks=evaluation.checks,
            approvals_missing=evaluation.approvals_missing,
            policies=pinned,
            applied=tuple(sorted(policy.pinned for policy in asked)),
            others=others,
            fast=fast,
            renew_after=min((life for life in lives if life is not None), default=None),
        )
        return replace(judgement, request=_shown(request, judgement) if request else None)

    def require(self, unit: Unit, attempt: Attempt, *, with_request: PromotionRequest | None = None) -> Judgement:
        """Refuse what the policies do not allow.

        Raises: POLICY_VIOLATION, APPROVAL_REQUIRED.
        """
        judgement = self.judge(unit, attempt, with_request=with_request, hold=unit.access.lock)
        require_allowed(judgement, attempt)
        return judgement

    def _facts(
        self,
        reader: Reader,
        attempt: Attempt,
        policies: Sequence[Policy],
        request: PromotionRequest | None,
        approvers: dict[str, Approver],
    ) -> Facts:
        """Nothing is read that no rule asks for."""
        kinds, version, target = kinds_of(policies), attempt.version, attempt.before.target
        holder = attempt.displaced
        if holder is None and target is not None and kinds & _AGAINST_HOLDER:
            holder = reader.versions.get(target.name)
        expressions = self.expressions
        return Facts(
            version=version,
            holder=holder,
            stage=attempt.stage.id,
            now=reader.now,
            moves=reader.history.of_version(version.uid, _MOVES) if rules.EarlierStage in kinds else (),
            approvals=request.approvals if request else (),
            approvers=approvers,
            signatures=reader.signatures.of_version(version.uid) if rules.RequiredSignature in kinds else (),
            evidence=reader.evidence.of_version(version.uid) if rules.RequiredEvidence in kinds else (),
            holds=_Expressions(expressions.over(version, holder, attempt.stage.id, reader.now))
            if expressions is not None and rules.Expression in kinds
            else None,
        )


def _requests(
    reader: Reader, attempt: Attempt, kept: Sequence[PromotionRequest], with_request: PromotionRequest | None
) -> tuple[PromotionRequest | None, tuple[PromotionRequest, ...]]:
    """The open request for the promotion, and those for the stage that are not it."""
    open_ones = [
        with_request if with_request is not None and each.name == with_request.name else each
        for each in kept
        if each.expire_time > reader.now
    ]
    if with_request is not None and all(each is not with_request for each in open_ones):
        open_ones.append(with_request)
    request = next((each for each in open_ones if each.version == attempt.version.name), None)
    return request, tuple(each for each in open_ones if each is not request)


def owners_of(request: PromotionRequest, version: Version) -> frozenset[str]:
    """Whose yes does not count: whoever opened the request, or created or uploaded to the version."""
    return frozenset({request.creator, version.creator, *version.contributors})


def _aged(approval: Approval, lives: Sequence[timedelta | None], now: datetime) -> Approval:
    """Void when it is too old for every rule that counts approvals."""
    known = [life for life in lives if life is not None]
    if approval.void_reason or approval.decision is not Decision.APPROVED or not known or len(known) < len(lives):
        return approval
    longest = max(known)
    return replace(approval, void_reason=f"is older than {longest}") if now - approval.time > longest else approval


class _Expressions:
    """Works out expressions, until they took too long together: the model and the project are locked meanwhile."""

    def __init__(self, holds: Callable[[str], bool]) -> None:
        self._holds = holds
        self._left_s = EXPRESSIONS_S

    def __call__(self, text: str) -> bool:
        """Raises: ValueError."""
        if self._left_s <= 0:
            raise ValueError(f"the expressions of the policies took longer than {EXPRESSIONS_S:g} s together")
        began = time.monotonic()
        try:
            return self._holds(text)
        finally:
            self._left_s -= time.monotonic() - began


def _shown(request: PromotionRequest, judgement: Judgement) -> PromotionRequest:
    """The request as it stands under a judgement."""
    rejected = any(each.decision is Decision.REJECTED and not each.void_reason for each in request.approvals)
    complete = not any(check.refuses for check in judgement.checks)
    state = RequestState.REJECTED if rejected else RequestState.APPROVED if complete else RequestState.PENDING
    return replace(request, state=state, checks=judgement.checks, approvals_missing=judgement.approvals_missing)


def require_allowed(judgement: Judgement, attempt: Attempt) -> None:
    """Raises: POLICY_VIOLATION, APPROVAL_REQUIRED."""
    version, stage = attempt.version.name, attempt.stage.id
    if judgement.failed:
        first = judgement.failed[0]
        more = f" (and {len(judgement.failed) - 1} more)" if len(judgement.failed) > 1 else ""
        raise RegistryError(
            Reason.POLICY_VIOLATION,
            f"{version} may not enter {stage!r}: rule {first.rule!r} of {first.policy} demands {first.required}, found "
            f"{first.observed}{more}; EvaluatePromotion explains every rule",
            violations=tuple(_violation(check) for check in judgement.failed),
            version=version,
            stage=stage,
            policy=first.policy,
            rule=first.rule,
        )
    if judgement.allowed:
        return
    request = judgement.request
    if judgement.rejected:
        why = _rejection(judgement)
    elif request is not None:
        why = f"{judgement.approvals_missing} more must approve {request.name}"
    else:
        why = f"{judgement.approvals_missing} must approve it; open a promotion request"
    raise RegistryError(
        Reason.APPROVAL_REQUIRED,
        f"{version} may not enter {stage!r} yet: {why}",
        violations=tuple(_violation(check) for check in judgement.checks if check.refuses),
        version=version,
        stage=stage,
        missing=judgement.approvals_missing,
        promotionRequest=request.name if request else None,
    )


def require_unrejected(judgement: Judgement) -> None:
    """Raises: APPROVAL_REQUIRED."""
    if judgement.rejected:
        raise RegistryError(Reason.APPROVAL_REQUIRED, _rejection(judgement))


def _rejection(judgement: Judgement) -> str:
    name = judgement.request.name if judgement.request else ""
    return f"{name} was rejected; whoever did must approve it, or open another request"


def _violation(check: CheckResult) -> Violation:
    return Violation(
        f"{check.policy}#{check.rule}", f"demands {check.required}, found {check.observed}; {check.hint}".rstrip("; ")
    )


def require_unfrozen(pointer: Pointer, leaving: Pointer | None = None) -> None:
    """Refuse to move into a frozen stage, or out of one.

    Raises: STAGE_FROZEN.
    """
    for each in (pointer, leaving):
        if each is not None and each.freeze is not None:
            raise RegistryError(
                Reason.STAGE_FROZEN,
                f"{each.name} is frozen by {each.freeze.actor}: {each.freeze.reason}; unfreeze it first",
                stage=each.name,
                frozenBy=each.freeze.actor,
            )
