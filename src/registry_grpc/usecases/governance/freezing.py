"""Stages that are frozen by hand: nothing moves in or out until they are unfrozen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import Freeze
from registry_grpc.domain.stages import stage_of
from registry_grpc.usecases.checks import locked_model
from registry_grpc.usecases.placement import stage_pointer

if TYPE_CHECKING:
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import PointerName
    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class FreezeStage:
    """Freezes a stage, or unfreezes it with `frozen` False."""

    store: Store
    frozen: bool = True

    def __call__(self, call: Call[Pointer], name: PointerName, reason: str) -> Committed[Pointer]:
        """What is so already stays as it is.

        Raises: MODEL_NOT_FOUND, STAGE_NOT_FOUND, PERMISSION_MISSING.
        """

        def work(unit: Unit) -> Pointer:
            model = locked_model(unit, name.parent)
            stage = stage_of(unit.projects.get(name.project), name.id)
            call.grant.require(name, stages=(stage.id,), tags=(model.tags,))
            before = stage_pointer(unit, model, stage.id)
            if (before.freeze is not None) is self.frozen:
                return before
            unit.advance(str(name))
            freeze = Freeze(reason, call.principal.name, unit.now) if self.frozen else None
            after = replace(before, freeze=freeze)
            unit.pointers.put(after)
            unit.record(Action.FROZEN if self.frozen else Action.UNFROZEN, after)
            return after

        return self.store.write(work, call)
