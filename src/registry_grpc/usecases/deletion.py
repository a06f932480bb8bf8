"""Soft deletion and its undoing, for versions and models. Numbers and ids stay taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.policies import MAX_POLICIES
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import locked_model, require_etag, require_restorable
from registry_grpc.usecases.holders import require_free
from registry_grpc.usecases.placement import Placement, stage_pointer
from registry_grpc.usecases.quotas import charge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.holders import Holders
    from registry_grpc.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """Deletes a version softly, unless something holds it."""

    store: Store
    holders: Sequence[Holders]
    undelete_window: timedelta
    """Where the project says nothing."""

    def __call__(self, call: Call[Version], name: VersionName, etag: str) -> Committed[Version]:
        """The deleted version; deleting a deleted one returns it.

        Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_IN_USE naming the holders.
        """

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            version = unit.versions.get(name)
            call.grant.require(name, tags=(model.tags, version.tags))
            require_etag(version, etag)
            if version.delete_time is not None:
                return version
            project = unit.projects.get(name.project)
            require_free(name, (each.of_version(unit, project, version) for each in self.holders))
            charge(unit, name.project, Usage(versions=-1))
            revision = unit.advance(str(name))
            window = undelete_window(project, self.undelete_window)
            deleted = replace(version, delete_time=unit.now, purge_time=unit.now + window)
            return _place(unit, call, project, model, revision, deleted, Action.DELETED)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class UndeleteVersion:
    """Brings a deleted version back, into the stage it had unless that is exclusive and taken, frozen, or guarded."""

    store: Store
    draft_retention: timedelta
    """Where the project says nothing."""

    def __call__(self, call: Call[Version], name: VersionName, etag: str) -> Committed[Version]:
        """Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS when it is not deleted, QUOTA_EXCEEDED."""

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            version = unit.versions.get(name)
            call.grant.require(name, tags=(model.tags, version.tags))
            require_etag(version, etag)
            require_restorable(version, Reason.VERSION_NOT_FOUND, unit.now)
            project = unit.projects.get(name.project)
            exclusive = {stage.id for stage in project.stages if stage.exclusive}
            known = {stage.id for stage in project.stages}
            taken = version.stage in exclusive and unit.versions.newest_holder(model.uid, version.stage) is not None
            stage = "" if taken or version.stage not in known else version.stage
            if stage and _is_gated(unit, model, stage):
                stage = ""  # what is behind a gate is entered through the gate
            if any(each.id == stage and each.protected for each in project.stages):
                call.grant.require(name, stages=(stage,), tags=(model.tags, version.tags))
            draft = version.state is VersionState.DRAFT
            charge(unit, name.project, Usage(versions=1))
            revision = unit.advance(str(name))
            rest = project.retention.draft or self.draft_retention
            restored = replace(
                version,
                stage=stage,
                delete_time=None,
                purge_time=None,
                expire_time=unit.now + rest if draft else None,
            )
            return _place(unit, call, project, model, revision, restored, Action.UNDELETED)

        return self.store.write(work, call)


def _is_gated(unit: Unit, model: Model, stage: str) -> bool:
    policies = unit.policies.list(model.name.project, after="", limit=MAX_POLICIES)
    frozen = stage_pointer(unit, model, stage).freeze is not None
    return frozen or any(policy.guards(model.name, stage) for policy in policies)


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


def undelete_window(project: Project, default: timedelta) -> timedelta:
    """How long what is deleted in the project can be undeleted."""
    window = project.retention.undelete_window
    return default if window is None else window


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """Deletes a model softly; its versions are out of reach until it is undeleted."""

    store: Store
    holders: Sequence[Holders]
    undelete_window: timedelta
    """Where the project says nothing."""

    def __call__(self, call: Call[Model], name: ModelName, etag: str, *, force: bool) -> Committed[Model]:
        """The deleted model; deleting a deleted one returns it.

        Raises: MODEL_NOT_FOUND, ETAG_MISMATCH, HAS_CHILDREN without `force`, VERSION_IN_USE naming the holders.
        """

        def work(unit: Unit) -> Model:
            model = unit.models.lock(name)
            call.grant.require(name, tags=(model.tags,))
            require_etag(model, etag)
            if model.delete_time is not None:
                return model
            project = unit.projects.get(name.project)
            require_free(name, (each.of_model(unit, project, model) for each in self.holders))
            versions = unit.versions.count_live(model.uid)
            if versions and not force:
                raise RegistryError(
                    Reason.HAS_CHILDREN, f"{name} has versions; set force to delete it with them", resource=name
                )
            charge(unit, name.project, Usage(models=-1, versions=-versions))
            revision = unit.advance(str(name))
            after = replace(
                model,
                delete_time=unit.now,
                purge_time=unit.now + undelete_window(project, self.undelete_window),
                update_time=unit.now,
                revision=revision,
            )
            unit.models.update(after)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class UndeleteModel:
    """Brings a deleted model back as it was."""

    store: Store

    def __call__(self, call: Call[Model], name: ModelName, etag: str) -> Committed[Model]:
        """Raises: MODEL_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS when it is not deleted, QUOTA_EXCEEDED."""

        def work(unit: Unit) -> Model:
            model = unit.models.lock(name)
            call.grant.require(name, tags=(model.tags,))
            require_etag(model, etag)
            require_restorable(model, Reason.MODEL_NOT_FOUND, unit.now)
            versions = unit.versions.count_live(model.uid)
            charge(unit, name.project, Usage(models=1, versions=versions))
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
