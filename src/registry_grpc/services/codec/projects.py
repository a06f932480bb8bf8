"""Projects and their stage definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.resources import Project, StageDefinition
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.times import required_time_from_wire, time_to_wire
from registry_grpc.v1 import projects_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


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
        create_time=time_to_wire(project.create_time),
        update_time=time_to_wire(project.update_time),
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
        revision=message.revision,
        **project_changes(message, _READERS),
    )


_READERS: dict[str, Callable[[projects_pb2.Project, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "stages": lambda message, _: tuple(stage_definition_from_wire(stage) for stage in message.stages),
    "tags": lambda message, _: dict(message.tags),
    "annotations": lambda message, _: dict(message.annotations),
}


def project_changes(message: projects_pb2.Project, fields: Collection[str], path: str = "project") -> dict[str, Any]:
    """Fields of `Project` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_READERS, message, fields, path)
