"""Stages: promote, roll back, vacate, and the questions about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.stages import (
    exit_stage,
    require_assignable,
    require_holder,
    rollback_candidates,
    stage_of,
)
from registry_grpc.usecases.checks import live_model, locked_model, require_manifest_digest, require_move
from registry_grpc.usecases.governance.gate import Gate, require_unfrozen
from registry_grpc.usecases.moving import Condition, Move, StageChange
from registry_grpc.usecases.placement import Placement, stage_pointer, stage_pointers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ModelName, PointerName, VersionName
    from registry_grpc.domain.pointers import Assignment, Pointer
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.ports.store import Reader, Store, Unit

HISTORY_PAGE = 200


@dataclass(frozen=True, slots=True)
class PromoteVersion:
    """Moves a version into a stage; the holder of an exclusive stage leaves in the same transaction."""

    store: Store
    gate: Gate = field(default_factory=Gate)

    def __call__(
        self,
        call: Call[StageChange],
        name: VersionName,
        stage_id: str,
        condition: Condition,
        manifest_digest: str,
    ) -> Committed[StageChange]:
        """The stage before and after; promoting its present holder changes nothing.

        Raises: VERSION_NOT_FOUND, STAGE_NOT_FOUND, VERSION_STATE, STAGE_MOVED, ETAG_MISMATCH, STATE_TRANSITION,
            DIGEST_MISMATCH, STAGE_FROZEN, POLICY_VIOLATION, APPROVAL_REQUIRED.
        """

        def work(unit: Unit) -> StageChange:
            model = locked_model(unit, name.parent)
            project = unit.projects.get(name.project)
            stage = stage_of(project, stage_id)
            version = unit.versions.get(name)
            require_assignable(version)
            require_manifest_digest(version, manifest_digest)
            require_move(call.grant, project, stage_id, version, model)
            before, leaves = stage_pointers(unit, model, stage_id, version.stage)
            if before.number == name.number:
                return StageChange(before=before, after=before, revision=before.revision)
            require_holder(before, condition.expected, condition.etag)
            move = Move(unit, call, project, model, stage, condition, self.gate)
            return move.hand_over(before, version, StageAction.PROMOTED, leaves)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class RollbackStage:
    """Gives a stage back to the version before, or to an explicit one."""

    store: Store
    gate: Gate = field(default_factory=Gate)

    def __call__(
        self, call: Call[StageChange], name: PointerName, target: int, condition: Condition
    ) -> Committed[StageChange]:
        """The stage before and after; `target` 0 means the version before.

        Raises: STAGE_NOT_FOUND, NO_ROLLBACK_TARGET, VERSION_NOT_FOUND, VERSION_STATE, STAGE_MOVED, ETAG_MISMATCH,
            STATE_TRANSITION, STAGE_FROZEN, POLICY_VIOLATION, APPROVAL_REQUIRED.
        """

        def work(unit: Unit) -> StageChange:
            model = locked_model(unit, name.parent)
            project = unit.projects.get(name.project)
            stage = stage_of(project, name.id)
            before = stage_pointer(unit, model, stage.id)
            require_holder(before, condition.expected, condition.etag)
            version = self._target(unit, model, before, target)
            move = Move(unit, call, project, model, stage, condition, self.gate)
            return move.hand_over(before, version, StageAction.ROLLED_BACK)

        return self.store.write(work, call)

    def _target(self, unit: Unit, model: Model, before: Pointer, target: int) -> Version:
        if target:
            version = unit.versions.get(model.name.version(target))
            require_assignable(version)
            if target == before.number:
                raise _nowhere(before, f"version {target} holds it already")
            if not any(row.version.number == target for row in _arrivals(unit, model, before.id)):
                raise _nowhere(before, f"version {target} never held it; promote it instead")
            return version
        for number in rollback_candidates(_arrivals(unit, model, before.id), before.number):
            # One that was purged is history only.
            for version in unit.versions.find([model.name.version(number)]):
                if version.delete_time is None and version.state is not VersionState.YANKED:
                    return version
        raise _nowhere(before, "no earlier version held it that is neither yanked nor deleted")


def _nowhere(stage: Pointer, why: str) -> RegistryError:
    return RegistryError(
        Reason.NO_ROLLBACK_TARGET,
        f"{stage.name} cannot be rolled back: {why}",
        stage=stage.name,
    )


def _arrivals(reader: Reader, model: Model, stage: str) -> Iterator[Assignment]:
    before: tuple[int, int] | None = None
    while True:
        page = reader.history.list(model.uid, stage, before=before, limit=HISTORY_PAGE)
        yield from page
        if len(page) < HISTORY_PAGE:
            return
        before = (page[-1].revision, page[-1].index)


@dataclass(frozen=True, slots=True)
class VacateStage:
    """Takes the holder out of a stage."""

    store: Store

    def __call__(self, call: Call[StageChange], name: PointerName, condition: Condition) -> Committed[StageChange]:
        """Raises: STAGE_NOT_FOUND, STAGE_VACANT, STAGE_MOVED, ETAG_MISMATCH, STAGE_FROZEN."""

        def work(unit: Unit) -> StageChange:
            model = locked_model(unit, name.parent)
            project = unit.projects.get(name.project)
            stage = stage_of(project, name.id)
            before = stage_pointer(unit, model, stage.id)
            require_holder(before, condition.expected, condition.etag)
            if before.target is None:
                raise stage_vacant(before)
            require_unfrozen(before)
            holder = unit.versions.get(before.target.name)
            require_move(call.grant, project, stage.id, holder, model)
            revision = unit.advance(str(name))
            placement = Placement(unit, call, project, model, revision, condition.justification)
            placement.move(holder, exit_stage(project, stage), StageAction.VACATED)
            placement.settle()
            return StageChange(before=before, after=stage_pointer(unit, model, stage.id), revision=revision)

        return self.store.write(work, call)


def stage_vacant(pointer: Pointer) -> RegistryError:
    """The error for a stage without a holder."""
    return RegistryError(
        Reason.STAGE_VACANT,
        f"no version of {pointer.model} is in stage {pointer.id!r}",
        model=pointer.model,
        stage=pointer.id,
    )


@dataclass(frozen=True, slots=True)
class GetStage:
    """One stage of a model."""

    store: Store

    def __call__(self, name: PointerName) -> Pointer:
        """Raises: MODEL_NOT_FOUND, STAGE_NOT_FOUND."""

        def work(reader: Reader) -> Pointer:
            model = live_model(reader, name.parent)
            stage_of(reader.projects.get(name.project), name.id)
            return stage_pointer(reader, model, name.id)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListStages:
    """Every stage of a model, in the project's order."""

    store: Store

    def __call__(self, name: ModelName) -> Sequence[Pointer]:
        """Raises: MODEL_NOT_FOUND."""

        def work(reader: Reader) -> Sequence[Pointer]:
            model = live_model(reader, name)
            project = reader.projects.get(name.project)
            known = {pointer.id: pointer for pointer in reader.pointers.list(model.uid, PointerKind.STAGE)}
            return [known.get(stage.id) or stage_pointer(reader, model, stage.id) for stage in project.stages]

        return self.store.read(work, snapshot=True)


@dataclass(frozen=True, slots=True)
class ListStageHistory:
    """Who came to which stage, newest first."""

    store: Store

    def __call__(
        self, name: ModelName, stage: str, *, before: tuple[int, int] | None, limit: int
    ) -> Sequence[Assignment]:
        """A keyset page by (revision, index).

        Raises: MODEL_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Assignment]:
            model = reader.models.get(name)
            return reader.history.list(model.uid, stage, before=before, limit=limit)

        return self.store.read(work)
