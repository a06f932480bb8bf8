"""What a table shows of webhooks and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.cli.output import Columns, short_enum, when
from registry_grpc.cli.views import last
from registry_grpc.v1 import events_pb2, webhooks_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable


def _actions(numbers: Iterable[int]) -> str:
    return ", ".join(short_enum(events_pb2.EventAction, number, "EVENT_ACTION_") for number in numbers)


def _state(delivery: webhooks_pb2.Delivery) -> str:
    return short_enum(webhooks_pb2.Delivery.State, delivery.state, "STATE_")


def _last_error(delivery: webhooks_pb2.Delivery) -> str:
    return delivery.attempts[-1].error if delivery.attempts else ""


def _disabled(webhook: webhooks_pb2.Webhook) -> str:
    return f"yes{f' ({webhook.disable_reason})' if webhook.disable_reason else ''}" if webhook.disabled else ""


WEBHOOKS: Columns = {
    "webhook": lambda webhook: last(webhook.name),
    "url": lambda webhook: webhook.url,
    "disabled": _disabled,
    "pending": lambda webhook: webhook.pending_deliveries,
    "dead": lambda webhook: webhook.dead_deliveries,
    "last success": lambda webhook: when(webhook, "last_success_time"),
    "last error": lambda webhook: webhook.last_error,
}
WEBHOOK: Columns = {
    "name": lambda webhook: webhook.name,
    "display name": lambda webhook: webhook.display_name,
    "url": lambda webhook: webhook.url,
    "models": lambda webhook: ", ".join(webhook.models),
    "types": lambda webhook: ", ".join(webhook.resource_types),
    "actions": lambda webhook: _actions(webhook.actions),
    "stages": lambda webhook: ", ".join(webhook.stages),
    "disabled": _disabled,
    "pending": lambda webhook: webhook.pending_deliveries,
    "dead": lambda webhook: webhook.dead_deliveries,
    "last success": lambda webhook: when(webhook, "last_success_time"),
    "last error": lambda webhook: webhook.last_error,
    "old secret until": lambda webhook: when(webhook, "old_secret_expire_time"),
    "created": lambda webhook: when(webhook, "create_time"),
    "creator": lambda webhook: webhook.creator,
    "etag": lambda webhook: webhook.etag,
}
DELIVERIES: Columns = {
    "delivery": lambda delivery: last(delivery.name),
    "state": _state,
    "type": lambda delivery: delivery.event_type,
    "subject": lambda delivery: delivery.subject,
    "revision": lambda delivery: delivery.event_revision or "",
    "attempts": lambda delivery: len(delivery.attempts),
    "created": lambda delivery: when(delivery, "create_time"),
    "next": lambda delivery: when(delivery, "next_attempt_time"),
    "error": _last_error,
}
