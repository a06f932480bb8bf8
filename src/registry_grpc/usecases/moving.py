"""A version comes into a stage: what promotions, rollbacks and promotion requests have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.stages import exit_stage, require_transition
from registry_grpc.usecases.checks import require_move
from registry_grpc.usecases.governance.gate import Attempt, Gate, Judgement, require_unfrozen
from registry_grpc.usecases.governance.settling import settle_requests
from registry_grpc.usecases.placement import Passage, Placement, stage_pointer

if TYPE_CHECKING:
    from registry_grpc.domain.access import Grant
    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.domain.resources import Model, Project, StageDefinition, Version
    from registry_grpc.ports.store import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """A stage before and after a change, and the revision of it."""

    before: Pointer
    after: Pointer
    revision: int
    promotion_request: str = ""
    """Name of the one that was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold for a change of a stage to go ahead (compare and swap), and why it is made."""

    expected: int | None = None
    """Number of the version that must hold the stage; 0 for none; None for any."""
    etag: str = ""
    justification: str = ""
    break_glass: bool = False
    """Past policies, approvals and a freeze; the edge has seen that the caller may."""

    def __post_init__(self) -> None:
        """Raises: INVALID_FIELD for breaking glass without a word."""
        if self.break_glass and not self.justification.strip():
            raise invalid_field("justification", "is required with break_glass: say why the policies cannot wait")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A move that nothing refuses."""

    before: Pointer
    version: Version
    displaced: Version | None
    action: StageAction
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Move:
    """A version comes into a stage, through the gate."""

    unit: Unit
    call: Call[Any]
    project: Project
    model: Model
    stage: StageDefinition
    condition: Condition
    gate: Gate
    grant: Grant | None = None
    """What allows the move; None for that of the call."""

    def hand_over(
        self, before: Pointer, version: Version, action: StageAction, leaves: Pointer | None = None
    ) -> StageChange:
        """The stage before and after. Raises: what `prepare` raises."""
        return self.apply(self.prepare(before, version, action, leaves))

    def prepare(
        self,
        before: Pointer,
        version: Version,
        action: StageAction,
        leaves: Pointer | None = None,
        *,
        with_request: PromotionRequest | None = None,
    ) -> Prepared:
        """Everything that can refuse it; `with_request` is a request as this transaction is about to leave it.

        `leaves` is the stage the version is in, when the caller knows it already.

        Raises: STATE_TRANSITION, PERMISSION_MISSING, STAGE_FROZEN, POLICY_VIOLATION, APPROVAL_REQUIRED.
        """
        rollback = action is StageAction.ROLLED_BACK
        if version.stage != self.stage.id:
            require_transition(version, self.stage, rollback=rollback)
        displaced = self.unit.versions.get(before.target.name) if self.stage.exclusive and before.target else None
        grant = self.call.grant if self.grant is None else self.grant
        require_move(grant, self.project, self.stage.id, version, self.model, displaced)
        attempt = Attempt(self.model, self.stage, version, before, rollback, displaced)
        judgement = self._judge(attempt, leaves, with_request)
        return Prepared(before, version, displaced, action, judgement)

    def apply(self, prepared: Prepared) -> StageChange:
        """Take the revision and write it."""
        before, judgement, broken = prepared.before, prepared.judgement, self.condition.break_glass
        committed = None if broken or judgement.fast else judgement.request
        name = str(committed.name) if committed else ""
        revision = self.unit.advance(str(before.name))
        placement = Placement(
            self.unit,
            self.call,
            self.project,
            self.model,
            revision,
            self.condition.justification,
            Passage(name, () if broken else judgement.applied, broken),
        )
        if prepared.displaced is not None:
            placement.move(prepared.displaced, exit_stage(self.project, self.stage), StageAction.DISPLACED)
        placement.move(prepared.version, self.stage.id, prepared.action, previous=before.number)
        placement.settle()
        after = stage_pointer(self.unit, self.model, self.stage.id)
        if broken:
            self.unit.record(Action.BROKE_GLASS, after)
        settle_requests(self.unit, judgement, revision, committed, exclusive=self.stage.exclusive)
        return StageChange(before=before, after=after, revision=revision, promotion_request=name)

    def _judge(self, attempt: Attempt, leaves: Pointer | None, with_request: PromotionRequest | None) -> Judgement:
        if self.condition.break_glass:
            return self.gate.judge(self.unit, attempt, with_request=with_request)
        version = attempt.version
        if leaves is None and version.stage:
            leaves = stage_pointer(self.unit, self.model, version.stage)
        require_unfrozen(attempt.before, leaves)
        return self.gate.require(self.unit, attempt, with_request=with_request)
