"""Versions: create, read, change. Finalizing and deletion have files of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.lineage_rules import edges_of_provenance, edges_of_version
from registry_grpc.domain.names import ModelName, VersionName
from registry_grpc.domain.resources import Version, VersionState
from registry_grpc.domain.search import ANYTHING
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import (
    live_model,
    locked_model,
    require_etag,
    require_live_version,
    require_same_project,
)
from registry_grpc.usecases.lineage import require_acyclic
from registry_grpc.usecases.quotas import advance_charging, draft_retention

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.metadata import Metadata
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class CreateVersion:
    """Creates a DRAFT version with the next number of its model."""

    store: Store
    ids: Ids
    draft_retention: timedelta
    """Where the project says nothing."""

    def __call__(self, call: Call[Version], model: ModelName, fields: Mapping[str, Any]) -> Committed[Version]:
        """The version.

        Raises: MODEL_NOT_FOUND, RESOURCE_EXISTS (label taken), VERSION_NOT_FOUND (a parent), LINEAGE_CYCLE,
            QUOTA_EXCEEDED.
        """
        uid = self.ids.uuid()

        def work(unit: Unit) -> Version:
            numbered = unit.models.number_version(model)
            if numbered.deleted:
                live_model(unit, model)  # which says so
            if call.grant.conditions:  # else nobody needs the row
                call.grant.require(model, tags=(unit.models.get(model).tags,))
            require_known_parents(unit, model.project, fields.get("metadata"))
            _require_acyclic_steps(unit, model.version(numbered.number), fields.get("metadata"))
            revision, account = advance_charging(unit, model, Usage(versions=1))
            version = Version(
                **{
                    **fields,
                    "uid": uid,
                    "model_uid": numbered.model_uid,
                    "name": model.version(numbered.number),
                    "creator": call.principal.name,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "expire_time": unit.now + (account.retention.draft or self.draft_retention),
                    "revision": revision,
                },
            )
            unit.versions.insert(version)
            unit.record(Action.CREATED, version)
            return version

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetVersion:
    """One version, also a deleted one."""

    store: Store

    def __call__(self, name: VersionName) -> Version:
        """Raises: VERSION_NOT_FOUND, MODEL_NOT_FOUND, PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: reader.versions.get(name))


@dataclass(frozen=True, slots=True)
class BatchGetVersions:
    """Several versions of one project: all or nothing."""

    store: Store

    def __call__(self, project: ProjectName, names: Sequence[VersionName]) -> Sequence[Version]:
        """In the order asked for.

        Raises: VERSION_NOT_FOUND naming the first that is missing, INVALID_FIELD for one of another project.
        """
        for index, name in enumerate(names):
            require_same_project(project.project, name.project, f"names[{index}]")
        found = {version.name: version for version in self.store.read(lambda reader: reader.versions.find(names))}
        missing = [name for name in names if name not in found]
        if missing:
            raise RegistryError(Reason.VERSION_NOT_FOUND, f"{missing[0]} does not exist", resource=missing[0])
        return [found[name] for name in names]


@dataclass(frozen=True, slots=True)
class ListVersions:
    """Versions of a model by number."""

    store: Store

    def __call__(  # noqa: PLR0913 - what a list is narrowed by
        self,
        model: ModelName,
        *,
        after: int,
        limit: int,
        descending: bool,
        show_deleted: bool,
        states: Collection[VersionState],
        stage: str,
        conditions: Tree[Condition] = ANYTHING,
    ) -> Sequence[Version]:
        """A keyset page of what fulfils `conditions`.

        Raises: MODEL_NOT_FOUND, PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Version]:
            parent = reader.models.get(model)
            return reader.versions.list(
                parent.uid,
                after=after,
                limit=limit,
                descending=descending,
                show_deleted=show_deleted,
                states=states,
                stage=stage,
                conditions=conditions,
            )

        return self.store.read(work)


MUTABLE_WHEN_FINAL = frozenset({"owner", "description", "model_card", "card", "tags", "annotations"})


@dataclass(frozen=True, slots=True)
class UpdateVersion:
    """Changes a version: everything while DRAFT, afterwards only what people write about it."""

    store: Store
    draft_retention: timedelta
    """A draft that is worked on is not abandoned: each change puts its end off."""

    def __call__(
        self, call: Call[Version], name: VersionName, etag: str, changes: Mapping[str, Any]
    ) -> Committed[Version]:
        """`changes` may have `metadata`, a mapping of the fields of `Metadata` to change.

        Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_IMMUTABLE, LINEAGE_CYCLE.
        """

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            before = require_live_version(unit.versions.get(name))
            call.grant.require(name, tags=(model.tags, before.tags))
            require_etag(before, etag)
            _require_mutable(before, changes)
            metadata = replace(before.metadata, **changes.get("metadata", {}))
            require_known_parents(unit, name.project, metadata, name)
            if metadata.provenance != before.metadata.provenance:
                edges = edges_of_version(replace(before, metadata=metadata))
                require_acyclic(unit, name.project, edges, owner=before.uid)
            is_draft = before.state is VersionState.DRAFT
            rest = draft_retention(unit, name.project, self.draft_retention) if is_draft else None
            others = {key: value for key, value in changes.items() if key != "metadata"}
            revision = unit.advance(str(name))
            after = replace(
                before,
                **others,
                metadata=metadata,
                update_time=unit.now,
                expire_time=None if rest is None else unit.now + rest,
                revision=revision,
            )
            unit.versions.update(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


def _require_mutable(version: Version, changes: Mapping[str, Any]) -> None:
    if version.state is VersionState.DRAFT:
        return
    frozen = sorted({*changes.get("metadata", {}), *changes} - MUTABLE_WHEN_FINAL - {"metadata"})
    if frozen:
        raise RegistryError(
            Reason.VERSION_IMMUTABLE,
            f"{version.name} is {version.state.upper()}: {', '.join(frozen)} can no longer change; create a version",
            violations=tuple(Violation(f"version.{name}", "frozen since the version was finalized") for name in frozen),
            version=version.name,
            state=version.state.upper(),
        )


def _require_acyclic_steps(unit: Unit, name: VersionName, metadata: Metadata | None) -> None:
    """Nothing comes from a version that is new: only what it says of others can close a cycle."""
    if metadata is not None and metadata.provenance is not None:
        edges = [edge for edge in edges_of_provenance(name, metadata.provenance) if edge.downstream.id != str(name)]
        require_acyclic(unit, name.project, edges)


def require_known_parents(reader: Reader, project: str, metadata: Any, child: VersionName | None = None) -> None:  # noqa: ANN401 - Metadata or None
    """Refuse lineage to a version that does not exist in this project, or to the version itself.

    Raises: VERSION_NOT_FOUND, INVALID_FIELD.
    """
    provenance = metadata.provenance if metadata is not None else None
    names = [VersionName.parse(p.version) for p in (provenance.parents if provenance else ()) if p.version]
    if not names:
        return
    if child in names:
        raise invalid_field("version.provenance.parents", f"{child} cannot be its own parent")
    found = {version.name for version in reader.versions.find([n for n in names if n.project == project])}
    for name in names:
        if name not in found:
            raise RegistryError(
                Reason.VERSION_NOT_FOUND,
                f"parent {name} does not exist in project {project!r}",
                resource=name,
            )
