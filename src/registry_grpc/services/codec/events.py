"""Events, and the messages of a watch, which are put together from parts that were encoded once for all watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.resources import Model, Project, Version
from registry_grpc.services.codec.artifacts import artifact_to_wire
from registry_grpc.services.codec.chunks import varint
from registry_grpc.services.codec.deployments import deployment_to_wire
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.models import model_to_wire
from registry_grpc.services.codec.pointers import alias_to_wire, stage_to_wire
from registry_grpc.services.codec.projects import project_to_wire
from registry_grpc.services.codec.times import time_to_wire
from registry_grpc.services.codec.versions import version_to_wire
from registry_grpc.usecases.events import kind_of
from registry_grpc.v1 import events_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_grpc.domain.events import Event

ACTION = EnumCodec(Action, events_pb2.EventAction, "EVENT_ACTION_")
Shown = Project | Model | Version | Pointer | Artifact | Deployment
"""What a watch may show; roles, bindings, accounts and tokens are none of it."""
_EVENTS = events_pb2.WatchResponse.EVENTS_FIELD_NUMBER << 3 | 2


def event_to_wire(event: Event) -> events_pb2.Event:
    """One change of something that may be shown.

    Raises: TypeError for anything else.
    """
    if not isinstance(event.after, Shown):
        raise TypeError(f"no event is shown of a {type(event.after).__name__}")
    message = resource_event(event.after, event.action)
    message.actor = event.actor
    message.request_id = event.request_id
    message.time.CopyFrom(time_to_wire(event.time))
    message.revision = event.revision
    return message


def resource_event(resource: Shown, action: Action) -> events_pb2.Event:
    """An event that says no more than what there is: who and when are left out."""
    message = events_pb2.Event(name=str(resource.name), resource_type=kind_of(resource), action=ACTION.to_wire(action))
    match resource:
        case Project():
            message.project.CopyFrom(project_to_wire(resource))
        case Model():
            message.model.CopyFrom(model_to_wire(resource))
        case Version():
            message.version.CopyFrom(version_to_wire(resource))
            message.version.ClearField("model_card")
        case Pointer():
            if resource.kind is PointerKind.STAGE:
                message.stage.CopyFrom(stage_to_wire(resource))
            else:
                message.alias.CopyFrom(alias_to_wire(resource))
        case Artifact():
            message.artifact.CopyFrom(artifact_to_wire(resource))
        case Deployment():
            message.deployment.CopyFrom(deployment_to_wire(resource))
    for part in (message.project, message.model, message.version):
        if part.ByteSize():
            part.ClearField("description")
    return message


def watch_message(head: bytes, events: Iterable[bytes]) -> bytes:
    """The serialised WatchResponse `head` with serialised events added; fields may come in any order."""
    parts = [head]
    for event in events:
        parts += (bytes((_EVENTS,)), varint(len(event)), event)
    return b"".join(parts)
