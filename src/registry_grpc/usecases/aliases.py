"""Aliases: free pointers beside the stages, changed several at a time or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import LATEST, is_pointer_id
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.stages import require_assignable
from registry_grpc.usecases.checks import live_model, locked_model
from registry_grpc.usecases.placement import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Reader, Store, Unit

MAX_CHANGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasChanges:
    """What to do to the aliases of one model."""

    set: Mapping[str, int]
    delete: Sequence[str]
    expected: Mapping[str, int]
    """Alias → number it must point at now; 0: it must not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasesChanged:
    """The aliases that were set, by alias, and the revision of the change."""

    aliases: tuple[Pointer, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class ListAliases:
    """Aliases of a model by alias."""

    store: Store

    def __call__(self, name: ModelName, *, after: str, limit: int) -> Sequence[Pointer]:
        """A keyset page.

        Raises: MODEL_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Pointer]:
            model = live_model(reader, name)
            return reader.pointers.list(model.uid, PointerKind.ALIAS, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateAliases:
    """Sets and deletes aliases of one model in one transaction."""

    store: Store

    def __call__(self, call: Call[AliasesChanged], name: ModelName, changes: AliasChanges) -> Committed[AliasesChanged]:
        """Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, VERSION_STATE, ALIAS_NOT_FOUND, ALIAS_MOVED, INVALID_FIELD."""
        _check(changes)

        def work(unit: Unit) -> AliasesChanged:
            model = locked_model(unit, name)
            project = unit.projects.get(name.project)
            _refuse_stage_names(project, changes)
            present = {
                alias: unit.pointers.get(model.uid, PointerKind.ALIAS, alias)
                for alias in sorted({*changes.set, *changes.delete, *changes.expected})
            }
            _require_expected(model, present, changes)
            targets = {number: unit.versions.get(name.version(number)) for number in set(changes.set.values())}
            if call.grant.conditions:
                left = {pointer.target.name for pointer in present.values() if pointer and pointer.target}
                touched = [*targets.values(), *unit.versions.find(sorted(left))]
                call.grant.require(name, tags=(model.tags, *(version.tags for version in touched)))
            for version in targets.values():
                require_assignable(version)
            moves = {
                alias: number for alias, number in sorted(changes.set.items()) if _number(present[alias]) != number
            }
            if not moves and not changes.delete:
                kept = tuple(pointer for alias in sorted(changes.set) if (pointer := present[alias]))
                return AliasesChanged(aliases=kept, revision=max(pointer.revision for pointer in kept))
            revision = unit.advance(f"{name}/aliases")
            for alias in changes.delete:
                self._delete(unit, call, present[alias], revision)
            for alias, number in moves.items():
                present[alias] = self._set(unit, call, model, alias, present[alias], targets[number], revision)
            after = tuple(pointer for alias in sorted(changes.set) if (pointer := present[alias]))
            return AliasesChanged(aliases=after, revision=revision)

        return self.store.write(work, call)

    @staticmethod
    def _set(
        unit: Unit,
        call: Call[AliasesChanged],
        model: Model,
        alias: str,
        before: Pointer | None,
        version: Version,
        revision: int,
    ) -> Pointer:
        before = before or Pointer(model=model.name, model_uid=model.uid, kind=PointerKind.ALIAS, id=alias, target=None)
        after = replace(
            before,
            target=target_of(version),
            previous_number=before.number,
            generation=before.generation + 1,
            revision=revision,
            set_time=unit.now,
            actor=call.principal.name,
        )
        unit.pointers.put(after)
        unit.record(Action.ASSIGNED, after)
        return after

    @staticmethod
    def _delete(unit: Unit, call: Call[AliasesChanged], before: Pointer | None, revision: int) -> None:
        if before is None:  # refused by _require_expected already
            return
        unit.pointers.delete(before.model_uid, PointerKind.ALIAS, before.id)
        unit.record(
            Action.CLEARED,
            replace(
                before,
                target=None,
                previous_number=before.number,
                generation=before.generation + 1,
                revision=revision,
                set_time=unit.now,
                actor=call.principal.name,
            ),
        )


def _number(pointer: Pointer | None) -> int:
    return pointer.number if pointer else 0


def _check(changes: AliasChanges) -> None:
    if not changes.set and not changes.delete:
        raise invalid_field("set", "set or delete at least one alias")
    if len(changes.set) + len(changes.delete) > MAX_CHANGES:
        raise invalid_field("set", f"at most {MAX_CHANGES} aliases in one call")
    for alias, number in changes.set.items():
        if not is_pointer_id(alias) or alias == LATEST:
            raise invalid_field(
                "set",
                f"alias {alias[:100]!r} must start with a letter, be 1 to 63 of a-z 0-9 . _ - and not be {LATEST!r}",
            )
        if number < 1:
            raise invalid_field("set", f"alias {alias!r}: version number {number} must be at least 1")
        if alias in changes.delete:
            raise invalid_field("delete", f"alias {alias!r} is also in set")
    if len(set(changes.delete)) != len(changes.delete):
        raise invalid_field("delete", "names an alias twice")


def _refuse_stage_names(project: Project, changes: AliasChanges) -> None:
    for stage in project.stages:
        if stage.id in changes.set:
            raise invalid_field(
                "set",
                f"{stage.id!r} is a stage of project {project.name.project!r}; choose another",
            )


def _require_expected(model: Model, present: Mapping[str, Pointer | None], changes: AliasChanges) -> None:
    for alias, number in changes.expected.items():
        pointer = present[alias]
        current = _number(pointer)
        if current != number:
            raise RegistryError(
                Reason.ALIAS_MOVED,
                f"alias {alias!r} of {model.name} points at {current or 'nothing'}, not {number or 'nothing'}",
                alias=alias,
                expectedVersion=number,
                currentVersion=current,
            )
    for alias in changes.delete:
        if present[alias] is None:
            raise alias_not_found(model.name, alias)


def alias_not_found(model: ModelName, alias: str) -> RegistryError:
    """The error for an alias that is not set."""
    return RegistryError(
        Reason.ALIAS_NOT_FOUND,
        f"{model} has no alias {alias!r}",
        resource=f"{model}/aliases/{alias}",
    )
