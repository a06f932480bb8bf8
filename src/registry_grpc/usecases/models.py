"""Models: create, read, change. Deletion is in `deletion.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import Model
from registry_grpc.domain.search import ANYTHING
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import locked_model, require_etag
from registry_grpc.usecases.quotas import charge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.names import ModelName, ProjectName
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class CreateModel:
    """Creates a model."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Model], name: ModelName, fields: Mapping[str, Any]) -> Committed[Model]:
        """Raises: PROJECT_NOT_FOUND, RESOURCE_EXISTS, QUOTA_EXCEEDED."""
        uid = self.ids.uuid()

        def work(unit: Unit) -> Model:
            unit.projects.get(name.project)
            charge(unit, name.project, Usage(models=1))
            revision = unit.advance(str(name))
            model = Model(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "creator": call.principal.name,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.models.insert(model)
            unit.record(Action.CREATED, model)
            return model

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetModel:
    """One model, also a deleted one."""

    store: Store

    def __call__(self, name: ModelName) -> Model:
        """Raises: MODEL_NOT_FOUND, PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: reader.models.get(name))


@dataclass(frozen=True, slots=True)
class ListModels:
    """Models of a project by id."""

    store: Store

    def __call__(
        self,
        project: ProjectName,
        *,
        after: str,
        limit: int,
        descending: bool,
        show_deleted: bool,
        only: Collection[str] | None = None,
        conditions: Tree[Condition] = ANYTHING,
    ) -> Sequence[Model]:
        """A keyset page of what fulfils `conditions`, of the ids in `only` unless it is None.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Model]:
            found = reader.models.list(
                project.project,
                after=after,
                limit=limit,
                descending=descending,
                show_deleted=show_deleted,
                only=only,
                conditions=conditions,
            )
            if not found:
                reader.projects.get(project.project)
            return found

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateModel:
    """Changes a model."""

    store: Store

    def __call__(self, call: Call[Model], name: ModelName, etag: str, changes: Mapping[str, Any]) -> Committed[Model]:
        """Raises: MODEL_NOT_FOUND, ETAG_MISMATCH."""

        def work(unit: Unit) -> Model:
            before = locked_model(unit, name)
            call.grant.require(name, tags=(before.tags,))
            require_etag(before, etag)
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            unit.models.update(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)
