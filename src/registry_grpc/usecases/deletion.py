"""Soft deletion and its undoing, for versions and models. Numbers and ids stay taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.usecases.checks import locked_model, require_etag
from registry_grpc.usecases.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """Deletes a version softly, unless a protected stage or an alias holds it."""

    store: Store
    undelete_window: timedelta

    def __call__(self, call: Call[Version], name: VersionName, etag: str) -> Committed[Version]:
        """The deleted version; deleting a deleted one returns it.

        Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_IN_USE naming the holders.
        """

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            version = unit.versions.get(name)
            require_etag(version, etag)
            if version.delete_time is not None:
                return version
            project = unit.projects.get(name.project)
            require_unheld(project, str(name), unit.pointers.of_version(version.uid), (version,))
            revision = unit.advance(str(name))
            deleted = replace(version, delete_time=unit.now, purge_time=unit.now + self.undelete_window)
            return _place(unit, call, project, model, revision, deleted, Action.DELETED)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class UndeleteVersion:
    """Brings a deleted version back, into the stage it had unless that is exclusive and taken."""

    store: Store
    draft_retention: timedelta

    def __call__(self, call: Call[Version], name: VersionName, etag: str) -> Committed[Version]:
        """Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS when it is not deleted."""

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            version = unit.versions.get(name)
            require_etag(version, etag)
            if version.delete_time is None:
                raise not_deleted(str(name))
            project = unit.projects.get(name.project)
            exclusive = {stage.id for stage in project.stages if stage.exclusive}
            known = {stage.id for stage in project.stages}
            taken = version.stage in exclusive and unit.versions.newest_holder(model.uid, version.stage) is not None
            stage = "" if taken or version.stage not in known else version.stage
            draft = version.state is VersionState.DRAFT
            revision = unit.advance(str(name))
            restored = replace(
                version,
                stage=stage,
                delete_time=None,
                purge_time=None,
                expire_time=unit.now + self.draft_retention if draft else None,
            )
            return _place(unit, call, project, model, revision, restored, Action.UNDELETED)

        return self.store.write(work, call)


def _place(
    unit: Unit,
    call: Call[Version],
    project: Project,
    model: Model,
    revision: int,
    version: Version,
    action: Action,
) -> Version:
    """Write a version that left or came back, with its history when it was ever in a stage."""
    if version.state is VersionState.DRAFT:
        after = replace(version, update_time=unit.now, revision=revision)
        unit.versions.update(after)
        unit.record(action, after)
        return after
    placement = Placement(unit, call, project, model, revision)
    if action is Action.DELETED:
        # The row keeps its stage, so that undeleting knows where it stood.
        after = placement.save(version, stage="", came_from=version.stage, action=StageAction.DELETED)
    else:
        after = placement.save(version, stage=version.stage, came_from="", action=StageAction.UNDELETED)
    placement.settle(action)
    return after


def require_unheld(project: Project, name: str, pointers: Sequence[Pointer], versions: Sequence[Version]) -> None:
    """Refuse to delete what a protected stage or an alias holds.

    Raises: VERSION_IN_USE naming every holder.
    """
    protected = {stage.id for stage in project.stages if stage.protected}
    holders = [
        Violation(
            str(pointer.name),
            f"alias {pointer.id!r} points at version {pointer.number}; delete or move it",
        )
        for pointer in pointers
        if pointer.kind is PointerKind.ALIAS
    ]
    holders += [
        Violation(
            f"{version.name.parent}/stages/{version.stage}",
            f"version {version.name.number} is in protected stage {version.stage!r}; vacate it or promote another",
        )
        for version in versions
        if version.stage in protected and version.delete_time is None
    ]
    if holders:
        named = ", ".join(holder.subject for holder in holders[:20])
        raise RegistryError(
            Reason.VERSION_IN_USE,
            f"{name} is held by {named}",
            violations=tuple(holders[:20]),
            holders=named,
        )


def not_deleted(name: str) -> RegistryError:
    """The error for undeleting what is not deleted. Source: AIP-164."""
    return RegistryError(Reason.RESOURCE_EXISTS, f"{name} is not deleted", resource=name)


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """Deletes a model softly; its versions are out of reach until it is undeleted."""

    store: Store
    undelete_window: timedelta

    def __call__(self, call: Call[Model], name: ModelName, etag: str, *, force: bool) -> Committed[Model]:
        """The deleted model; deleting a deleted one returns it.

        Raises: MODEL_NOT_FOUND, ETAG_MISMATCH, HAS_CHILDREN without `force`, VERSION_IN_USE naming the holders.
        """

        def work(unit: Unit) -> Model:
            model = unit.models.lock(name)
            require_etag(model, etag)
            if model.delete_time is not None:
                return model
            self._require_free(unit, model, force=force)
            revision = unit.advance(str(name))
            after = replace(
                model,
                delete_time=unit.now,
                purge_time=unit.now + self.undelete_window,
                update_time=unit.now,
                revision=revision,
            )
            unit.models.update(after)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)

    @staticmethod
    def _require_free(unit: Unit, model: Model, *, force: bool) -> None:
        project = unit.projects.get(model.name.project)
        protected = [
            version
            for stage in project.stages
            if stage.protected
            for version in unit.versions.list(model.uid, after=0, limit=20, stage=stage.id)
        ]
        aliases = unit.pointers.list(model.uid, PointerKind.ALIAS, limit=20)
        require_unheld(project, str(model.name), aliases, protected)
        if not force and unit.versions.list(model.uid, after=0, limit=1):
            raise RegistryError(
                Reason.HAS_CHILDREN,
                f"{model.name} has versions; set force to delete it with them",
                resource=model.name,
            )


@dataclass(frozen=True, slots=True)
class UndeleteModel:
    """Brings a deleted model back as it was."""

    store: Store

    def __call__(self, call: Call[Model], name: ModelName, etag: str) -> Committed[Model]:
        """Raises: MODEL_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS when it is not deleted."""

        def work(unit: Unit) -> Model:
            model = unit.models.lock(name)
            require_etag(model, etag)
            if model.delete_time is None:
                raise not_deleted(str(name))
            revision = unit.advance(str(name))
            after = replace(model, delete_time=None, purge_time=None, update_time=unit.now, revision=revision)
            unit.models.update(after)
            unit.record(Action.UNDELETED, after)
            # Followers dropped the model's pointers when it was deleted: tell them again.
            for pointer in unit.pointers.list(model.uid):
                if pointer.target is not None:
                    unit.record(Action.ASSIGNED, pointer)
            return after

        return self.store.write(work, call)
