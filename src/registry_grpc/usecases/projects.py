"""Projects: create, read, change. Stages are replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.policies import MAX_POLICIES
from registry_grpc.domain.resources import Project
from registry_grpc.domain.stages import DEFAULT_STAGES, check_stages, initial_stage
from registry_grpc.domain.tenancy import check_quotas, check_retention
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.domain.resources import StageDefinition
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class CreateProject:
    """Creates a project, with the default stages unless it brings its own."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Project], name: ProjectName, fields: Mapping[str, Any]) -> Committed[Project]:
        """Raises: RESOURCE_EXISTS, INVALID_FIELD for a stage graph that contradicts itself."""
        stages = fields.get("stages") or DEFAULT_STAGES
        _check({**fields, "stages": stages})
        uid = self.ids.uuid()

        def work(unit: Unit) -> Project:
            revision = unit.advance(str(name))
            project = Project(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "stages": tuple(stages),
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.projects.insert(project)
            unit.record(Action.CREATED, project)
            return project

        return self.store.write(work, call)


def _check(fields: Mapping[str, Any]) -> None:
    if "stages" in fields:
        check_stages(fields["stages"])
    if "quotas" in fields:
        check_quotas(fields["quotas"])
    if "retention" in fields:
        check_retention(fields["retention"])


@dataclass(frozen=True, slots=True)
class GetProject:
    """One project, also a deleted one."""

    store: Store

    def __call__(self, name: ProjectName) -> Project:
        """Raises: PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: reader.projects.find(name.project))


@dataclass(frozen=True, slots=True)
class ListProjects:
    """Projects by id."""

    store: Store

    def __call__(
        self,
        *,
        after: str,
        limit: int,
        descending: bool,
        show_deleted: bool,
        only: Collection[str] | None = None,
    ) -> Sequence[Project]:
        """A keyset page, of the ids in `only` unless it is None."""
        return self.store.read(
            lambda reader: reader.projects.list(
                after=after, limit=limit, descending=descending, show_deleted=show_deleted, only=only
            ),
        )


@dataclass(frozen=True, slots=True)
class UpdateProject:
    """Changes a project."""

    store: Store

    def __call__(
        self, call: Call[Project], name: ProjectName, etag: str, changes: Mapping[str, Any]
    ) -> Committed[Project]:
        """Raises: PROJECT_NOT_FOUND, PROJECT_DELETED, ETAG_MISMATCH, INVALID_FIELD, STAGE_IN_USE, RESOURCE_EXISTS."""
        _check(changes)

        def work(unit: Unit) -> Project:
            before = unit.projects.lock(name.project)
            call.grant.require(name, tags=(before.tags,))
            require_etag(before, etag)
            if before.delete_time is not None:
                raise RegistryError(Reason.PROJECT_DELETED, f"{name} is deleted; undelete it first", resource=name)
            if "stages" in changes:
                self._require_no_stranding(unit, before, changes["stages"])
                _require_unguarded(unit, before, initial_stage(replace(before, stages=tuple(changes["stages"]))).id)
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            unit.projects.update(after)
            for stage in after.stages:
                unit.versions.set_stage_exclusive(name.project, stage.id, exclusive=stage.exclusive)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)

    @staticmethod
    def _require_no_stranding(unit: Unit, before: Project, stages: Sequence[StageDefinition]) -> None:
        wanted = {stage.id: stage for stage in stages}
        for stage_id, holder in unit.versions.stages_in_use(before.name.project):
            if stage_id not in wanted:
                raise RegistryError(
                    Reason.STAGE_IN_USE,
                    f"stage {stage_id!r} cannot be removed: {holder} holds it; move its holders first",
                    stage=stage_id,
                    version=holder,
                )
        newly_exclusive = {s.id for s in stages if s.exclusive} - {s.id for s in before.stages if s.exclusive}
        for stage_id, model in unit.versions.multiply_held(before.name.project) if newly_exclusive else ():
            if stage_id in newly_exclusive:
                raise RegistryError(
                    Reason.STAGE_IN_USE,
                    f"stage {stage_id!r} cannot become exclusive: {model} has several versions in it",
                    stage=stage_id,
                    version=model,
                )
        added = set(wanted) - {stage.id for stage in before.stages}
        for alias in unit.pointers.aliases_named(before.name.project, added) if added else ():
            raise RegistryError(
                Reason.RESOURCE_EXISTS,
                f"stage {alias.id!r} cannot be added: {alias.name} is an alias of that name; rename one",
                resource=alias.name,
            )


def _require_unguarded(unit: Unit, project: Project, initial: str) -> None:
    """Refuse to let new versions into a stage that a policy guards: they enter the initial one without a promotion.

    Raises: INVALID_FIELD.
    """
    if initial == initial_stage(project).id:
        return
    for policy in unit.policies.list(project.name.project, after="", limit=MAX_POLICIES):
        if initial in policy.stages:
            raise invalid_field("project.stages", f"{initial!r} cannot be initial: {policy.name} guards it")
