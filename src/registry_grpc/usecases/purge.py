"""Removing for good what was deleted: by the verbs, and by the leader when its time is over.

Small transactions, a version each. What is being purged can no longer be undeleted, so that one which was cut short is
ended by the next. Bytes are not touched here: what no file lies in any more is CONDEMNED, for the collector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from registry_grpc.domain.calls import Call
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry_grpc.domain.calls import Committed
    from registry_grpc.domain.names import ModelName, ProjectName, VersionName
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Store, Unit

    Hook = Callable[[Unit, Project | Model], None]
    """Removes what else belongs to a project or model, after `Unit.advance`."""

R = TypeVar("R", "Model", "Project")
BATCH = 100


def not_purgeable(name: object) -> RegistryError:
    """The error for purging what is not deleted."""
    return RegistryError(Reason.NOT_DELETED, f"{name} is not deleted; delete it first", resource=name)


@dataclass(frozen=True, slots=True)
class Purger:
    """The steps that the verbs and the leader share."""

    store: Store
    hooks: Sequence[Hook] = ()

    def version(self, unit: Unit, model: Model, version: Version) -> None:
        """Remove a version of a locked model with its files and uploads. Takes the revision."""
        project = version.name.project
        ended, declared = unit.uploads.forget_of(version.uid)
        blobs = unit.artifacts.blob_uids(version.uid)
        # Held before the head of the log, as by whoever attaches them: else the two would wait for each other.
        unit.blobs.lock_all(blobs)
        freed = unit.blobs.bytes_only_in(version.uid, blobs)
        was_counted = version.delete_time is None and model.delete_time is None
        change = Usage(
            stored_bytes=-freed, reserved_bytes=-declared, open_uploads=-ended, versions=-1 if was_counted else 0
        )
        if change:
            unit.usage.change(project, change)
        unit.advance(str(version.name))
        unit.artifacts.delete_of(version.uid)
        unit.signatures.delete_of(version.uid)
        unit.evidence.delete_of(version.uid)
        unit.versions.delete(version.uid)
        unit.blobs.condemn(blobs)
        unit.record(Action.PURGED, version)

    def versions_of(self, model: Model, call: Call[None]) -> None:
        """Remove every version of a model that can no longer be undeleted."""
        while batch := self.store.read(
            lambda reader: reader.versions.list(model.uid, after=0, limit=BATCH, show_deleted=True)
        ):
            for version in batch:
                self.store.write(lambda unit, seen=version: self._seen(unit, seen), call)  # type: ignore[misc]

    def _seen(self, unit: Unit, seen: Version) -> None:
        model = unit.models.lock_uid(seen.model_uid)
        version = unit.versions.by_uid(seen.uid)
        if model is not None and version is not None:
            self.version(unit, model, version)

    def due_version(self, unit: Unit, seen: Version) -> None:
        """Remove a version past its time, unless it was undeleted or purged meanwhile."""
        model = unit.models.lock_uid(seen.model_uid)
        version = unit.versions.by_uid(seen.uid)
        if model is None or version is None or version.purge_time is None or version.purge_time > unit.now:
            return
        self.version(unit, model, version)

    def model(self, unit: Unit, model: Model) -> None:
        """Remove a locked model without versions. Takes the revision.

        Raises: TRANSACTION_CONFLICT when it has some after all.
        """
        if unit.versions.list(model.uid, after=0, limit=1, show_deleted=True):
            raise _interrupted(model.name)
        if model.delete_time is None:
            unit.usage.change(model.name.project, Usage(models=-1))
        unit.advance(str(model.name))
        for hook in self.hooks:
            hook(unit, model)
        unit.models.delete(model.uid)
        unit.record(Action.PURGED, model)

    def models_of(self, project: Project, call: Call[None]) -> None:
        """Remove every model of a project that can no longer be undeleted."""
        name = project.name.project
        while batch := self.store.read(lambda reader: reader.models.all_of(name, after="", limit=BATCH)):
            for model in batch:
                self.whole_model(model, call)

    def whole_model(self, model: Model, call: Call[None]) -> None:
        """Remove a model that can no longer be undeleted, with its versions."""
        self.versions_of(model, call)

        def work(unit: Unit) -> None:
            present = unit.models.lock_uid(model.uid)
            if present is not None:
                self.model(unit, present)

        self.store.write(work, call)

    def project(self, unit: Unit, project: Project) -> None:
        """Remove a locked project without models. Takes the revision.

        Raises: TRANSACTION_CONFLICT when it has some after all.
        """
        name = project.name.project
        if unit.models.all_of(name, after="", limit=1):
            raise _interrupted(project.name)
        unit.blobs.release(name)
        unit.advance(str(project.name))
        for hook in self.hooks:
            hook(unit, project)
        unit.projects.delete(name)
        unit.record(Action.PURGED, project)

    def mark(self, unit: Unit, resource: R, update: Callable[[R], None]) -> R:
        """End the time in which a deleted, locked model or project could be undeleted.

        Raises: NOT_DELETED.
        """
        if resource.delete_time is None:
            raise not_purgeable(resource.name)
        if resource.purge_time is not None and resource.purge_time <= unit.now:
            return resource
        revision = unit.advance(str(resource.name))
        after = replace(resource, purge_time=unit.now, update_time=unit.now, revision=revision)
        update(after)
        unit.record(Action.UPDATED, after)
        return after


def _interrupted(name: object) -> RegistryError:
    return RegistryError(
        Reason.TRANSACTION_CONFLICT, f"{name} is not empty yet; purge it again", retry_after_s=0.1, resource=name
    )


def _step(call: Call[None]) -> Call[Any]:
    """The call as the steps before its last one are written down: the request_id is for the whole."""
    return Call(principal=call.principal, method=call.method)


@dataclass(frozen=True, slots=True)
class PurgeVersion:
    """Removes a deleted version. Its number stays taken."""

    store: Store
    purger: Purger

    def __call__(self, call: Call[None], name: VersionName, etag: str) -> Committed[None]:
        """Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, NOT_DELETED."""

        def work(unit: Unit) -> None:
            model = unit.models.lock(name.parent)
            version = unit.versions.get(name)
            require_etag(version, etag)
            if version.delete_time is None:
                raise not_purgeable(name)
            call.grant.require(name, tags=(model.tags, version.tags))
            self.purger.version(unit, model, version)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class PurgeModel:
    """Removes a deleted model with its versions. Its id is free then."""

    store: Store
    purger: Purger

    def __call__(self, call: Call[None], name: ModelName, etag: str) -> Committed[None]:
        """Raises: MODEL_NOT_FOUND, ETAG_MISMATCH, NOT_DELETED."""
        refusal = None if call.validate_only else self._empty(call, name, etag)

        def work(unit: Unit) -> None:
            if refusal is not None:
                raise refusal
            model = unit.models.lock(name)
            if model.delete_time is None:
                raise not_purgeable(name)
            if call.validate_only:
                require_etag(model, etag)
                call.grant.require(name, tags=(model.tags,))
                return
            self.purger.model(unit, model)

        return self.store.write(work, call)

    def _empty(self, call: Call[None], name: ModelName, etag: str) -> RegistryError | None:
        """Remove the versions; why not, to be said by the last step unless the call was answered before."""

        def work(unit: Unit) -> Model:
            model = unit.models.lock(name)
            require_etag(model, etag)
            call.grant.require(name, tags=(model.tags,))
            return self.purger.mark(unit, model, unit.models.update)

        try:
            model = self.store.write(work, _step(call)).get()
            self.purger.versions_of(model, _step(call))
        except RegistryError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class PurgeProject:
    """Removes a deleted project with everything in it. Its id is free then."""

    store: Store
    purger: Purger

    def __call__(self, call: Call[None], name: ProjectName, etag: str) -> Committed[None]:
        """Raises: PROJECT_NOT_FOUND, ETAG_MISMATCH, NOT_DELETED."""
        refusal = None if call.validate_only else self._empty(call, name, etag)

        def work(unit: Unit) -> None:
            if refusal is not None:
                raise refusal
            project = unit.projects.lock(name.project)
            if project.delete_time is None:
                raise not_purgeable(name)
            if call.validate_only:
                require_etag(project, etag)
                call.grant.require(name, tags=(project.tags,))
                return
            self.purger.project(unit, project)

        return self.store.write(work, call)

    def _empty(self, call: Call[None], name: ProjectName, etag: str) -> RegistryError | None:
        """Remove the models; why not, to be said by the last step unless the call was answered before."""

        def work(unit: Unit) -> Project:
            project = unit.projects.lock(name.project)
            require_etag(project, etag)
            call.grant.require(name, tags=(project.tags,))
            return self.purger.mark(unit, project, unit.projects.update)

        try:
            project = self.store.write(work, _step(call)).get()
            self.purger.models_of(project, _step(call))
        except RegistryError as error:
            return error
        return None
