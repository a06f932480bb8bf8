"""Moves of versions between stages inside one transaction, and the pointers and history that follow from them.

Every verb that moves something (finalize, promote, roll back, vacate, delete, undelete) goes through here, so that the
pointers a reader resolves, the history and the events cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.events import Action
from registry_grpc.domain.names import LATEST
from registry_grpc.domain.pointers import Assignment, Pointer, PointerKind, StageAction, Target
from registry_grpc.domain.resources import VersionState

if TYPE_CHECKING:
    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Reader, Unit


def target_of(version: Version) -> Target:
    """What a pointer to `version` says about it."""
    return Target(
        name=version.name,
        uid=version.uid,
        manifest_digest=version.manifest_digest,
        file_count=version.file_count,
        total_size_bytes=version.total_size_bytes,
        stage="" if version.delete_time else version.stage,
        yanked=version.state is VersionState.YANKED,
    )


def stage_pointer(reader: Reader, model: Model, stage: str) -> Pointer:
    """The pointer of a stage; a vacant one of generation 0 when the stage never had a holder."""
    return reader.pointers.get(model.uid, PointerKind.STAGE, stage) or _vacant(model, stage)


def stage_pointers(reader: Reader, model: Model, *stages: str) -> list[Pointer]:
    """As `stage_pointer`, for several at once; an empty id is a stage nobody ever held."""
    known = {pointer.id: pointer for pointer in reader.pointers.list(model.uid, PointerKind.STAGE)}
    return [known.get(stage) or _vacant(model, stage) for stage in stages]


def _vacant(model: Model, stage: str) -> Pointer:
    return Pointer(model=model.name, model_uid=model.uid, kind=PointerKind.STAGE, id=stage, target=None)


@dataclass(frozen=True, slots=True)
class Passage:
    """What a promotion or rollback went through, for the history."""

    promotion_request: str = ""
    policies: tuple[str, ...] = ()
    break_glass: bool = False


NO_GATE = Passage()
_ASKED = frozenset({StageAction.PROMOTED, StageAction.ROLLED_BACK})


@dataclass(slots=True)
class Placement:
    """The moves of one transaction. Use after `Unit.advance`; call `settle` once, last."""

    unit: Unit
    call: Call[Any]
    project: Project
    model: Model
    revision: int
    justification: str = ""
    passed: Passage = field(default_factory=Passage)
    """What the arrival that was asked for went through."""
    _touched: dict[str, int] = field(default_factory=dict)
    """Stage id → number of the version whose arrival the pointer must show, 0 for whichever holder is newest."""
    _moved: list[Version] = field(default_factory=list)
    _rows: int = 0

    def move(self, version: Version, stage: str, action: StageAction, previous: int = 0) -> Version:
        """Put `version` into `stage` (empty: none), with a row of history; returns it as it is now."""
        return self.save(
            replace(version, stage=stage, stage_revision=self.revision),
            stage=stage,
            came_from=version.stage,
            action=action,
            previous=previous,
        )

    def save(
        self,
        version: Version,
        *,
        stage: str,
        came_from: str,
        action: StageAction,
        previous: int = 0,
    ) -> Version:
        """Write `version`, which came from `came_from` to `stage`, and remember what must follow."""
        now = self.unit.now
        passed = self.passed if action in _ASKED else NO_GATE
        after = replace(version, update_time=now, revision=self.revision)
        self.unit.versions.update(after)
        self.unit.history.append(
            Assignment(
                model_uid=self.model.uid,
                revision=self.revision,
                index=self._rows,
                stage=stage,
                from_stage=came_from,
                version=after.name,
                version_uid=after.uid,
                manifest_digest=after.manifest_digest,
                previous_number=previous,
                action=action,
                actor=self.call.principal.name,
                justification=self.justification,
                request_id=self.call.request_id,
                assign_time=now,
                promotion_request=passed.promotion_request,
                policies=passed.policies,
                break_glass=passed.break_glass,
            ),
        )
        self._rows += 1
        self._moved.append(after)
        self._touched.setdefault(came_from, 0)
        self._touched[stage] = after.name.number
        return after

    def settle(self, action: Action = Action.UPDATED) -> None:
        """Bring every pointer in line with the moves and record the events; `action` is that of the last version."""
        for version in self._moved[:-1]:
            self.unit.record(Action.UPDATED, version)
        if self._moved:
            self.unit.record(action, self._moved[-1])
        renewed = {self._renew_stage(stage) for stage in self._touched if stage}
        renewed.add(self._renew_latest())
        for version in self._moved:
            self._announce_others(version, renewed)

    def show(self, version: Version) -> None:
        """Nothing moved, but `version` says something else of itself now."""
        self._announce_others(version, {self._renew_latest()})

    def _renew_stage(self, stage: str) -> str:
        before = stage_pointer(self.unit, self.model, stage)
        holder = self.unit.versions.newest_holder(self.model.uid, stage)
        arrived = self._touched[stage]
        if (holder.name.number if holder else 0) != before.number or (holder and holder.name.number == arrived):
            self._put(before, target_of(holder) if holder else None)
        return stage

    def _renew_latest(self) -> str:
        before = self.unit.pointers.get(self.model.uid, PointerKind.LATEST, LATEST) or Pointer(
            model=self.model.name,
            model_uid=self.model.uid,
            kind=PointerKind.LATEST,
            id=LATEST,
            target=None,
        )
        newest = self.unit.versions.newest_ready(self.model.uid)
        if (newest.name.number if newest else 0) != before.number:
            self._put(before, target_of(newest) if newest else None)
            return LATEST
        return ""

    def _put(self, before: Pointer, target: Target | None) -> None:
        after = replace(
            before,
            target=target,
            previous_number=before.number or before.previous_number,
            generation=before.generation + 1,
            revision=self.revision,
            set_time=self.unit.now,
            actor=self.call.principal.name,
            justification=self.justification,
        )
        self.unit.pointers.put(after)
        self.unit.record(Action.ASSIGNED if target else Action.CLEARED, after)

    def _announce_others(self, version: Version, renewed: set[str]) -> None:
        """Pointers that stayed where they are show what the version says of itself: tell followers it changed."""
        for pointer in self.unit.pointers.of_version(version.uid):
            if pointer.id not in renewed:
                self.unit.record(Action.ASSIGNED, pointer)


def renew_pointers(unit: Unit, call: Call[Any], model: Model, version: Version, revision: int) -> None:
    """Bring `latest` in line with a version whose state changed, and tell followers of every pointer that shows it."""
    placement = Placement(unit, call, unit.projects.get(model.name.project), model, revision)
    placement.show(version)
