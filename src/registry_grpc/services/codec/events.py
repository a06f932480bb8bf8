"""Events, and the messages of a watch, which are put together from parts that were encoded once for all watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.events import Action
from registry_grpc.domain.evidence import Evidence, ModelSignature
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.policies import Policy
from registry_grpc.domain.promotion import PromotionRequest
from registry_grpc.domain.resources import Model, Project, Version
from registry_grpc.services.codec.artifacts import artifact_to_wire
from registry_grpc.services.codec.deployments import deployment_to_wire
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.evidence import evidence_to_wire, signature_to_wire
from registry_grpc.services.codec.governance import policy_to_wire, promotion_request_to_wire
from registry_grpc.services.codec.models import model_to_wire
from registry_grpc.services.codec.pointers import alias_to_wire, stage_to_wire
from registry_grpc.services.codec.projects import project_to_wire
from registry_grpc.services.codec.times import time_to_wire
from registry_grpc.services.codec.versions import version_to_wire
from registry_grpc.usecases.events import kind_of
from registry_grpc.v1 import events_pb2
from registry_grpc.wire import varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry_grpc.domain.events import Event

ACTION = EnumCodec(Action, events_pb2.EventAction, "EVENT_ACTION_")
Shown = (
    Project | Model | Version | Pointer | Artifact | Deployment | Evidence | ModelSignature | Policy | PromotionRequest
)
"""What a watch may show; roles, bindings, accounts and tokens are none of it."""
_FORMS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Project: ("project", project_to_wire),
    Model: ("model", model_to_wire),
    Version: ("version", version_to_wire),
    Pointer: ("stage", stage_to_wire),
    Artifact: ("artifact", artifact_to_wire),
    Deployment: ("deployment", deployment_to_wire),
    Evidence: ("evidence", evidence_to_wire),
    ModelSignature: ("signature", signature_to_wire),
    Policy: ("policy", policy_to_wire),
    PromotionRequest: ("promotion_request", promotion_request_to_wire),
}
"""Field of the event and what fills it."""
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
    field, to_wire = _FORMS[type(resource)]
    if isinstance(resource, Pointer) and resource.kind is not PointerKind.STAGE:
        field, to_wire = "alias", alias_to_wire
    getattr(message, field).CopyFrom(to_wire(resource))
    if isinstance(resource, Version):
        message.version.ClearField("model_card")
        message.version.ClearField("card")
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
