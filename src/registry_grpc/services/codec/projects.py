"""Projects and their stage definitions."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.resources import Project, StageDefinition
from registry_grpc.domain.tenancy import Account, Quotas, Retention
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.times import (
    duration_from_wire,
    duration_to_wire,
    optional_time_from_wire,
    optional_time_to_wire,
    required_time_from_wire,
    time_to_wire,
)
from registry_grpc.v1 import projects_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


_QUOTAS = tuple(field.name for field in fields(Quotas))


def stage_definition_to_wire(stage: StageDefinition) -> projects_pb2.StageDefinition:
    """One stage of a project's graph."""
    return projects_pb2.StageDefinition(
        id=stage.id,
        display_name=stage.display_name,
        exclusive=stage.exclusive,
        protected=stage.protected,
        initial=stage.initial,
        accepts_from=stage.accepts_from,
        displaced_to=stage.displaced_to,
    )


def stage_definition_from_wire(stage: projects_pb2.StageDefinition) -> StageDefinition:
    """One stage as sent; `domain.stages.check_stages` judges the graph."""
    return StageDefinition(
        id=stage.id,
        display_name=stage.display_name,
        exclusive=stage.exclusive,
        protected=stage.protected,
        initial=stage.initial,
        accepts_from=tuple(stage.accepts_from),
        displaced_to=stage.displaced_to,
    )


def quotas_to_wire(quotas: Quotas) -> projects_pb2.Quotas:
    """The limits of a project; 0 is none."""
    return projects_pb2.Quotas(**asdict(quotas))


def quotas_from_wire(message: projects_pb2.Quotas) -> Quotas:
    """The limits as sent; `domain.tenancy.check_quotas` judges them."""
    return Quotas(**{name: getattr(message, name) for name in _QUOTAS})


def retention_to_wire(retention: Retention) -> projects_pb2.Retention:
    """How long a project keeps things; unset is what the server is set to."""
    window, draft = retention.undelete_window, retention.draft
    return projects_pb2.Retention(
        undelete_window=None if window is None else duration_to_wire(window),
        draft=None if draft is None else duration_to_wire(draft),
        keep_versions=retention.keep_versions,
    )


def retention_from_wire(message: projects_pb2.Retention, path: str) -> Retention:
    """Raises: INVALID_FIELD for a duration that contradicts itself; `check_retention` judges the range."""
    return Retention(
        **{
            name: duration_from_wire(getattr(message, name), f"{path}.{name}") if message.HasField(name) else None
            for name in ("undelete_window", "draft")
        },
        keep_versions=message.keep_versions,
    )


def usage_to_wire(project: str, account: Account) -> projects_pb2.ProjectUsage:
    """What a project uses, with its limits."""
    return projects_pb2.ProjectUsage(name=project, **asdict(account.usage), quotas=quotas_to_wire(account.quotas))


def project_to_wire(project: Project) -> projects_pb2.Project:
    """The resource."""
    return projects_pb2.Project(
        name=str(project.name),
        uid=project.uid,
        display_name=project.display_name,
        description=project.description,
        stages=[stage_definition_to_wire(stage) for stage in project.stages],
        tags=project.tags,
        annotations=project.annotations,
        # Unset while they say nothing.
        quotas=quotas_to_wire(project.quotas) if project.quotas != Quotas() else None,
        retention=retention_to_wire(project.retention) if project.retention != Retention() else None,
        create_time=time_to_wire(project.create_time),
        update_time=time_to_wire(project.update_time),
        delete_time=optional_time_to_wire(project.delete_time),
        purge_time=optional_time_to_wire(project.purge_time),
        etag=project.etag,
        revision=project.revision,
    )


def project_from_wire(message: projects_pb2.Project, path: str = "project") -> Project:
    """The whole resource as a server sent it; its etag follows from the rest.

    Raises: INVALID_FIELD, INVALID_RESOURCE_NAME.
    """
    return Project(
        uid=message.uid,
        name=ProjectName.parse(message.name, f"{path}.name"),
        create_time=required_time_from_wire(message, "create_time", path),
        update_time=required_time_from_wire(message, "update_time", path),
        delete_time=optional_time_from_wire(message, "delete_time", path),
        purge_time=optional_time_from_wire(message, "purge_time", path),
        revision=message.revision,
        **project_changes(message, _READERS),
    )


_READERS: dict[str, Callable[[projects_pb2.Project, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "stages": lambda message, _: tuple(stage_definition_from_wire(stage) for stage in message.stages),
    "tags": lambda message, _: dict(message.tags),
    "annotations": lambda message, _: dict(message.annotations),
    "quotas": lambda message, _: quotas_from_wire(message.quotas),
    "retention": lambda message, path: retention_from_wire(message.retention, path),
}


def project_changes(message: projects_pb2.Project, fields: Collection[str], path: str = "project") -> dict[str, Any]:
    """Fields of `Project` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_READERS, message, fields, path)
