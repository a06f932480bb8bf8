"""Webhooks and deliveries, and events as CloudEvents: what receivers are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict

from registry_grpc.domain.events import Action, place_of
from registry_grpc.domain.webhooks import MAX_BODY_BYTES, DeliveryState, Summary
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.enums import EnumCodec
from registry_grpc.services.codec.events import ACTION, Shown, event_to_wire
from registry_grpc.services.codec.times import duration_to_wire, optional_time_to_wire, time_to_wire
from registry_grpc.usecases.events import kind_of
from registry_grpc.v1 import webhooks_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from registry_grpc.domain.events import Event
    from registry_grpc.domain.webhooks import Attempt, Delivery, Webhook

STATE = EnumCodec(DeliveryState, webhooks_pb2.Delivery.State, "STATE_")
TEST_TYPE = "dev.registry-grpc.webhook.test.v1"
_WORDS = {"ModelVersion": "version", "ModelSignature": "signature"}
"""What a type is called in `type`, where that is not the type itself."""


def webhook_to_wire(webhook: Webhook) -> webhooks_pb2.Webhook:
    """The resource; nothing of its secrets."""
    progress = webhook.progress
    return webhooks_pb2.Webhook(
        name=str(webhook.name),
        uid=webhook.uid,
        display_name=webhook.display_name,
        url=webhook.url,
        models=webhook.models,
        resource_types=webhook.resource_types,
        actions=[ACTION.to_wire(Action(each)) for each in webhook.actions],
        stages=webhook.stages,
        disabled=webhook.disabled,
        disable_reason=webhook.disable_reason,
        pending_deliveries=progress.pending,
        dead_deliveries=progress.dead,
        last_success_time=optional_time_to_wire(progress.last_success_time),
        last_error=progress.last_error,
        old_secret_expire_time=optional_time_to_wire(webhook.old_secret_expire_time),
        create_time=time_to_wire(webhook.create_time),
        update_time=time_to_wire(webhook.update_time),
        creator=webhook.creator,
        etag=webhook.etag,
        revision=webhook.revision,
    )


_WEBHOOK: dict[str, Callable[[webhooks_pb2.Webhook, str], Any]] = {
    "display_name": lambda message, _: message.display_name,
    "url": lambda message, _: message.url,
    "models": lambda message, _: tuple(dict.fromkeys(message.models)),
    "resource_types": lambda message, _: tuple(dict.fromkeys(message.resource_types)),
    "actions": lambda message, path: tuple(
        str(ACTION.from_wire(number, f"{path}[{at}]")) for at, number in enumerate(dict.fromkeys(message.actions))
    ),
    "stages": lambda message, _: tuple(dict.fromkeys(message.stages)),
    "disabled": lambda message, _: message.disabled,
}


def webhook_changes(message: webhooks_pb2.Webhook, fields: Collection[str]) -> dict[str, Any]:
    """Fields of `Webhook` for `dataclasses.replace`, of those in `fields` that a caller may set."""
    return changes_of(_WEBHOOK, message, fields, "webhook")


def delivery_to_wire(delivery: Delivery) -> webhooks_pb2.Delivery:
    """The resource."""
    return webhooks_pb2.Delivery(
        name=str(delivery.name),
        event_type=delivery.event_type,
        subject=delivery.subject,
        event_revision=delivery.event_revision,
        state=STATE.to_wire(delivery.state),
        attempts=[_attempt_to_wire(attempt) for attempt in delivery.attempts],
        next_attempt_time=optional_time_to_wire(delivery.next_attempt_time),
        create_time=time_to_wire(delivery.create_time),
        end_time=optional_time_to_wire(delivery.end_time),
        body=delivery.body,
    )


def _attempt_to_wire(attempt: Attempt) -> webhooks_pb2.Delivery.Attempt:
    return webhooks_pb2.Delivery.Attempt(
        time=time_to_wire(attempt.time),
        duration=duration_to_wire(attempt.duration),
        http_status=attempt.http_status,
        error=attempt.error,
    )


@dataclass(frozen=True, slots=True)
class CloudEvents:
    """CloudEvents 1.0 in structured JSON. Implements `webhooks.dispatch.Form`."""

    registry_uid: str

    def summary(self, event: Event) -> Summary | None:
        """See the protocol."""
        resource = event.after
        kind = kind_of(resource)
        if not kind or not isinstance(resource, Shown):
            return None
        project, model = place_of(resource)
        word = _WORDS.get(kind, kind.lower())
        return Summary(
            project=project,
            model=model,
            resource_type=kind,
            action=str(event.action),
            stage=str(getattr(resource, "id", "")) if kind == "Stage" else "",
            event_type=f"dev.registry-grpc.{word}.{event.action}.v1",
            subject=str(resource.name),
        )

    def body(self, event: Event, said: Summary) -> str:
        """See the protocol. Above `MAX_BODY_BYTES` without the resource, and with `truncated`."""
        message = event_to_wire(event)
        head = self._head(f"{event.revision}-{event.index}", said.event_type, said.subject, event.time)
        text = _json({**head, "data": MessageToDict(message)})
        if len(text.encode()) <= MAX_BODY_BYTES:
            return text
        message.ClearField("resource")
        return _json({**head, "truncated": True, "data": MessageToDict(message)})

    def test_body(self, delivery_id: str, webhook: Webhook, now: datetime) -> str:
        """The body of a test."""
        head = self._head(delivery_id, TEST_TYPE, str(webhook.name), now)
        return _json({**head, "data": {"webhook": str(webhook.name)}})

    def _head(self, event_id: str, event_type: str, subject: str, time: datetime) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": event_id,
            "source": f"mreg://{self.registry_uid}",
            "type": event_type,
            "subject": subject,
            "time": time_to_wire(time).ToJsonString(),
            "datacontenttype": "application/json",
        }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
