"""Resolve from the database: what a stage, alias, number or manifest digest stands for, now or at a time.

The hot path answers from `watch.projection`; this one is the truth behind it, and gives the precise errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import LATEST
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.stages import stage_of
from registry_grpc.usecases.aliases import alias_not_found
from registry_grpc.usecases.checks import live_model, require_live_version
from registry_grpc.usecases.placement import stage_pointer, target_of
from registry_grpc.usecases.stages import stage_vacant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.pointers import Target
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.ports.store import Reader, Store

FULL_VIEW_FILES = 1000


class SelectorKind(StrEnum):
    """What a selector selects by. `REFERENCE` is a stage, or else an alias."""

    STAGE = "stage"
    ALIAS = "alias"
    NUMBER = "number"
    DIGEST = "digest"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Selector:
    """What to resolve."""

    kind: SelectorKind
    text: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a selector stands for."""

    target: Target
    pointer_revision: int
    assign_time: datetime | None
    revision: int
    """Registry revision the answer was read at, or later."""
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolve:
    """Answers from one consistent read."""

    store: Store

    def __call__(
        self,
        name: ModelName,
        selector: Selector,
        *,
        as_of: datetime | None = None,
        full: bool = False,
    ) -> Resolution:
        """Raises: MODEL_NOT_FOUND, STAGE_NOT_FOUND, STAGE_VACANT, ALIAS_NOT_FOUND, VERSION_NOT_FOUND, VERSION_STATE."""

        def work(reader: Reader) -> Resolution:
            revision = reader.feed.head()
            model = live_model(reader, name)
            found = self._as_of(reader, model, selector.text, as_of) if as_of else self._now(reader, model, selector)
            files: Sequence[Artifact] = ()
            if full:
                files = reader.artifacts.list(found.target.uid, after="", limit=FULL_VIEW_FILES)
            return replace(found, revision=revision, artifacts=tuple(files))

        return self.store.read(work, snapshot=full)

    def _now(self, reader: Reader, model: Model, selector: Selector) -> Resolution:
        match selector.kind:
            case SelectorKind.NUMBER:
                return _of_version(_finalized(require_live_version(_version(reader, model, selector.number))))
            case SelectorKind.DIGEST:
                version = reader.versions.by_manifest_digest(model.uid, selector.text)
                if version is None:
                    raise RegistryError(
                        Reason.VERSION_NOT_FOUND,
                        f"no version of {model.name} has manifest digest {selector.text}",
                        resource=model.name,
                        manifestDigest=selector.text,
                    )
                return _of_version(version)
            case SelectorKind.STAGE:
                return self._stage(reader, model, selector.text)
            case SelectorKind.ALIAS:
                return self._alias(reader, model, selector.text)
            case SelectorKind.REFERENCE:
                project = reader.projects.get(model.name.project)
                if any(stage.id == selector.text for stage in project.stages):
                    return self._stage(reader, model, selector.text)
                return self._alias(reader, model, selector.text)

    @staticmethod
    def _stage(reader: Reader, model: Model, stage: str) -> Resolution:
        pointer = reader.pointers.get(model.uid, PointerKind.STAGE, stage)
        if pointer is None or pointer.target is None:
            stage_of(reader.projects.get(model.name.project), stage)
            raise stage_vacant(stage_pointer(reader, model, stage))
        return of_pointer(pointer)

    @staticmethod
    def _alias(reader: Reader, model: Model, alias: str) -> Resolution:
        kind = PointerKind.LATEST if alias == LATEST else PointerKind.ALIAS
        pointer = reader.pointers.get(model.uid, kind, alias)
        if pointer is None or pointer.target is None:
            raise alias_not_found(model.name, alias)
        return of_pointer(pointer)

    @staticmethod
    def _as_of(reader: Reader, model: Model, stage: str, time: datetime) -> Resolution:
        row, stood = reader.history.pointer_as_of(model.uid, stage, time)
        if row is None or not stood:
            stage_of(reader.projects.get(model.name.project), stage)
            raise RegistryError(
                Reason.STAGE_VACANT,
                f"no version of {model.name} was in stage {stage!r} at {time.isoformat()}",
                model=model.name,
                stage=stage,
            )
        version = reader.versions.get(row.version)
        return Resolution(
            target=replace(target_of(version), stage=stage),
            pointer_revision=row.revision,
            assign_time=row.assign_time,
            revision=0,
        )


def of_pointer(pointer: Pointer) -> Resolution:
    """What a pointer with a target resolves to."""
    if pointer.target is None:
        raise stage_vacant(pointer)
    return Resolution(
        target=pointer.target,
        pointer_revision=pointer.revision,
        assign_time=pointer.set_time,
        revision=0,
    )


def _of_version(version: Version) -> Resolution:
    return Resolution(
        target=target_of(version),
        pointer_revision=version.revision,
        assign_time=version.finalize_time,
        revision=0,
    )


def _version(reader: Reader, model: Model, number: int) -> Version:
    return reader.versions.get(model.name.version(number))


def _finalized(version: Version) -> Version:
    if version.state is VersionState.DRAFT:
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{version.name} is DRAFT; finalize it first",
            version=version.name,
            state=version.state.upper(),
        )
    return version
