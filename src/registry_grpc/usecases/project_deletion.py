"""Soft deletion of projects and its undoing. While one is deleted, all that is in it answers as absent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import DEFAULT_PROJECT
from registry_grpc.usecases.checks import require_etag, require_restorable
from registry_grpc.usecases.deletion import undelete_window
from registry_grpc.usecases.holders import require_free

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.domain.resources import Project
    from registry_grpc.ports.holders import Holders
    from registry_grpc.ports.store import Store, Unit

MAX_ANNOUNCED = 10_000
"""Pointers told to followers when a project comes back; further ones are answered from the database until they move."""


@dataclass(frozen=True, slots=True)
class DeleteProject:
    """Deletes a project softly, with everything in it, unless something in it is held."""

    store: Store
    holders: Sequence[Holders]
    undelete_window: timedelta
    """Where the project says nothing."""

    def __call__(self, call: Call[Project], name: ProjectName, etag: str, *, force: bool) -> Committed[Project]:
        """The deleted project; deleting a deleted one returns it.

        Raises: PROJECT_NOT_FOUND, ETAG_MISMATCH, PROJECT_PROTECTED for `default`, HAS_CHILDREN without `force`,
            VERSION_IN_USE naming the holders.
        """

        def work(unit: Unit) -> Project:
            # Models first, as every writer in one does: then nothing in the project is on its way any more.
            unit.models.lock_all(name.project)
            project = unit.projects.lock(name.project)
            require_etag(project, etag)
            call.grant.require(name, tags=(project.tags,))
            if project.delete_time is not None:
                return project
            self._require_deletable(unit, project, force=force)
            unit.projects.bury(name.project, buried=True)
            revision = unit.advance(str(name))
            after = replace(
                project,
                delete_time=unit.now,
                purge_time=unit.now + undelete_window(project, self.undelete_window),
                update_time=unit.now,
                revision=revision,
            )
            unit.projects.update(after)
            unit.record(Action.DELETED, after)
            return after

        return self.store.write(work, call)

    def _require_deletable(self, unit: Unit, project: Project, *, force: bool) -> None:
        name = project.name
        if name.project == DEFAULT_PROJECT:
            raise RegistryError(
                Reason.PROJECT_PROTECTED,
                f"{name} cannot be deleted: what names no project is in it; delete its models instead",
                resource=name,
            )
        require_free(name, (each.of_project(unit, project) for each in self.holders))
        if not force and unit.models.list(name.project, after="", limit=1):
            raise RegistryError(
                Reason.HAS_CHILDREN, f"{name} has models; set force to delete it with them", resource=name
            )


@dataclass(frozen=True, slots=True)
class UndeleteProject:
    """Brings a deleted project back as it was."""

    store: Store

    def __call__(self, call: Call[Project], name: ProjectName, etag: str) -> Committed[Project]:
        """Raises: PROJECT_NOT_FOUND, ETAG_MISMATCH, RESOURCE_EXISTS when it is not deleted."""

        def work(unit: Unit) -> Project:
            project = unit.projects.lock(name.project)
            require_etag(project, etag)
            call.grant.require(name, tags=(project.tags,))
            require_restorable(project, Reason.PROJECT_NOT_FOUND, unit.now)
            unit.projects.bury(name.project, buried=False)
            revision = unit.advance(str(name))
            after = replace(project, delete_time=None, purge_time=None, update_time=unit.now, revision=revision)
            unit.projects.update(after)
            unit.record(Action.UNDELETED, after)
            # Followers dropped the pointers in it when it was deleted: tell them again.
            for pointer in unit.pointers.of_project(name.project, limit=MAX_ANNOUNCED):
                unit.record(Action.ASSIGNED, pointer)
            return after

        return self.store.write(work, call)
