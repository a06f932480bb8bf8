"""Models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.names import ModelName
from registry_grpc.domain.resources import Model
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.times import (
    optional_time_from_wire,
    optional_time_to_wire,
    required_time_from_wire,
    time_to_wire,
)
from registry_grpc.v1 import models_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def model_to_wire(model: Model) -> models_pb2.Model:
    """The resource."""
    return models_pb2.Model(
        name=str(model.name),
        uid=model.uid,
        display_name=model.display_name,
        description=model.description,
        owner=model.owner,
        tags=model.tags,
        annotations=model.annotations,
        creator=model.creator,
        create_time=time_to_wire(model.create_time),
        update_time=time_to_wire(model.update_time),
        delete_time=optional_time_to_wire(model.delete_time),
        purge_time=optional_time_to_wire(model.purge_time),
        etag=model.etag,
        revision=model.revision,
    )


def model_from_wire(message: models_pb2.Model, path: str = "model") -> Model:
    """The whole resource as a server sent it; its etag follows from the rest.

    Raises: INVALID_FIELD, INVALID_RESOURCE_NAME.
    """
    return Model(
        uid=message.uid,
        name=ModelName.parse(message.name, f"{path}.name"),
        creator=message.creator,
        create_time=required_time_from_wire(message, "create_time", path),
        update_time=required_time_from_wire(message, "update_time", path),
        delete_time=optional_time_from_wire(message, "delete_time", path),
        purge_time=optional_time_from_wire(message, "purge_time", path),
        revision=message.revision,
        **model_changes(message, _READERS),
    )


_READERS: dict[str, Callable[[models_pb2.Model, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "description": lambda message, _: message.description,
    "owner": lambda message, _: message.owner,
    "tags": lambda message, _: dict(message.tags),
    "annotations": lambda message, _: dict(message.annotations),
}


def model_changes(message: models_pb2.Model, fields: Collection[str], path: str = "model") -> dict[str, Any]:
    """Fields of `Model` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_READERS, message, fields, path)
