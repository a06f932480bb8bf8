"""WebhookService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.webhook_names import DeliveryName, WebhookName
from registry_grpc.domain.webhooks import DEFAULT_OVERLAP, Delivery, DeliveryState
from registry_grpc.ports.webhooks import Place
from registry_grpc.services.codec.times import duration_from_wire
from registry_grpc.services.codec.webhooks import (
    STATE,
    TEST_TYPE,
    delivery_to_wire,
    webhook_changes,
    webhook_to_wire,
)
from registry_grpc.services.events import KINDS
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.v1 import webhooks_pb2, webhooks_pb2_grpc
from registry_grpc.webhooks.guard import RefusedError, parse_target

if TYPE_CHECKING:
    from collections.abc import Collection

    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.webhooks import WebhookSecrets
    from registry_grpc.services.codec.webhooks import CloudEvents
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases import deliveries, webhooks
    from registry_grpc.webhooks.guard import Guard
    from registry_grpc.webhooks.sending import Sender

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookVerbs:
    """The use cases of webhooks, and what a test of one needs."""

    create: webhooks.CreateWebhook
    get: webhooks.GetWebhook
    list: webhooks.ListWebhooks
    update: webhooks.UpdateWebhook
    delete: webhooks.DeleteWebhook
    rotate: webhooks.RotateWebhookSecret
    list_deliveries: deliveries.ListDeliveries
    redeliver: deliveries.RedeliverDeliveries
    note_test: deliveries.NoteTest
    secrets: WebhookSecrets
    guard: Guard
    sender: Sender
    form: CloudEvents
    ids: Ids


class WebhookServicer(webhooks_pb2_grpc.WebhookServiceServicer):
    """Webhooks."""

    def __init__(self, edge: Edge, pages: Pages, verbs: WebhookVerbs | None) -> None:
        """Made by the composition root; without `verbs` there is no key to keep secrets with."""
        self._edge = edge
        self._pages = pages
        self._given = verbs

    @property
    def _verbs(self) -> WebhookVerbs:
        """Raises: FEATURE_DISABLED."""
        if self._given is None:
            raise RegistryError(
                Reason.FEATURE_DISABLED,
                "this server has no key to keep secrets of webhooks with; the operator sets secrets_key_file, "
                "the same on every replica",
                feature="webhooks",
            )
        return self._given

    async def CreateWebhook(
        self, request: webhooks_pb2.CreateWebhookRequest, context: Context
    ) -> webhooks_pb2.CreateWebhookResponse:
        verbs = self._verbs
        name = WebhookName(ProjectName.parse(request.parent, "parent").project, request.webhook_id)
        _require_kinds(request.webhook.resource_types)
        fields = webhook_changes(request.webhook, fields_to_create(request.webhook))
        refusal = await self._refusal(request.webhook.url)
        secret = verbs.secrets.new()
        return await self._edge.mutate(
            request,
            lambda call: verbs.create(call, name, fields, secret, refusal),
            lambda webhook: webhooks_pb2.CreateWebhookResponse(webhook=webhook_to_wire(webhook)),
            secret=webhooks_pb2.CreateWebhookResponse(secret=secret).SerializeToString(),
        )

    async def GetWebhook(self, request: webhooks_pb2.GetWebhookRequest, context: Context) -> webhooks_pb2.Webhook:
        verbs, name = self._verbs, WebhookName.parse(request.name)
        return webhook_to_wire(await self._edge.read(lambda: verbs.get(name)))

    async def ListWebhooks(
        self, request: webhooks_pb2.ListWebhooksRequest, context: Context
    ) -> webhooks_pb2.ListWebhooksResponse:
        verbs, parent = self._verbs, ProjectName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: verbs.list(parent, after=after, limit=page.limit))
        webhooks, token = page.close(found, lambda webhook: (webhook.name.webhook,), webhook_to_wire)
        return webhooks_pb2.ListWebhooksResponse(webhooks=webhooks, next_page_token=token)

    async def UpdateWebhook(self, request: webhooks_pb2.UpdateWebhookRequest, context: Context) -> webhooks_pb2.Webhook:
        verbs, name = self._verbs, WebhookName.parse(request.webhook.name, "webhook.name")
        taken = fields_to_update(request.webhook, request.update_mask)
        _require_kinds(request.webhook.resource_types)
        changes = webhook_changes(request.webhook, taken)
        refusal = await self._refusal(request.webhook.url) if "url" in taken else None
        return await self._edge.mutate(
            request,
            lambda call: verbs.update(call, name, request.webhook.etag, changes, refusal),
            webhook_to_wire,
        )

    async def DeleteWebhook(
        self, request: webhooks_pb2.DeleteWebhookRequest, context: Context
    ) -> webhooks_pb2.DeleteWebhookResponse:
        verbs, name = self._verbs, WebhookName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: verbs.delete(call, name, request.etag),
            lambda _: webhooks_pb2.DeleteWebhookResponse(),
        )

    async def RotateWebhookSecret(
        self, request: webhooks_pb2.RotateWebhookSecretRequest, context: Context
    ) -> webhooks_pb2.RotateWebhookSecretResponse:
        verbs, name = self._verbs, WebhookName.parse(request.name)
        wished = request.HasField("overlap")
        overlap = duration_from_wire(request.overlap, "overlap") if wished else DEFAULT_OVERLAP
        secret = verbs.secrets.new()
        return await self._edge.mutate(
            request,
            lambda call: verbs.rotate(call, name, request.etag, secret, overlap),
            lambda webhook: webhooks_pb2.RotateWebhookSecretResponse(webhook=webhook_to_wire(webhook)),
            secret=webhooks_pb2.RotateWebhookSecretResponse(secret=secret).SerializeToString(),
        )

    async def TestWebhook(self, request: webhooks_pb2.TestWebhookRequest, context: Context) -> webhooks_pb2.Delivery:
        verbs, name = self._verbs, WebhookName.parse(request.name)
        webhook, now = await self._edge.read(lambda: (verbs.get(name), self._edge.store.now()))
        delivery_id = verbs.ids.uuid()
        test = Delivery(
            id=delivery_id,
            webhook_uid=webhook.uid,
            webhook=name,
            lane="",
            event_revision=0,
            event_index=0,
            event_type=TEST_TYPE,
            subject=str(name),
            body=verbs.form.test_body(delivery_id, webhook, now),
            create_time=now,
        )
        attempt = await verbs.sender.send(webhook, test, now)
        state = DeliveryState.DELIVERED if attempt.succeeded else DeliveryState.DEAD
        ended = replace(test, state=state, attempts=(attempt,), tries=1, end_time=now + attempt.duration)
        await self._edge.control.run(verbs.note_test, ended)
        return delivery_to_wire(ended)

    async def ListDeliveries(
        self, request: webhooks_pb2.ListDeliveriesRequest, context: Context
    ) -> webhooks_pb2.ListDeliveriesResponse:
        verbs, parent = self._verbs, WebhookName.parse(request.parent, "parent")
        states = [STATE.from_wire(number, f"states[{at}]") for at, number in enumerate(request.states)]
        page = self._pages.open(request)
        before = None
        if page.after is not None:
            micros, revision, index, delivery_id = page.after
            before = Place(_EPOCH + int(micros) * _MICROSECOND, int(revision), int(index), str(delivery_id))
        found = await self._edge.read(lambda: verbs.list_deliveries(parent, states, before=before, limit=page.limit))
        items, token = page.close(found, _place_key, delivery_to_wire)
        return webhooks_pb2.ListDeliveriesResponse(deliveries=items, next_page_token=token)

    async def RedeliverDeliveries(
        self, request: webhooks_pb2.RedeliverDeliveriesRequest, context: Context
    ) -> webhooks_pb2.RedeliverDeliveriesResponse:
        verbs, parent = self._verbs, WebhookName.parse(request.parent, "parent")
        names = [DeliveryName.parse(text, f"names[{at}]") for at, text in enumerate(request.names)]
        return await self._edge.mutate(
            request,
            lambda call: verbs.redeliver(call, parent, names, all_dead=request.all_dead),
            lambda count: webhooks_pb2.RedeliverDeliveriesResponse(count=count),
        )

    async def _refusal(self, url: str) -> RegistryError | None:
        """What is wrong with a URL, to be said by the use case: a retry shall hear its first answer."""
        try:
            await self._verbs.guard.addresses(parse_target(url))
        except RefusedError as refused:
            return invalid_field("webhook.url", str(refused))
        return None


def _require_kinds(kinds: Collection[str]) -> None:
    for at, kind in enumerate(kinds):
        if kind not in KINDS:
            raise invalid_field(f"webhook.resource_types[{at}]", f"{kind!r} is none of {', '.join(sorted(KINDS))}")


def _place_key(delivery: Delivery) -> tuple[int, int, int, str]:
    micros = (delivery.create_time - _EPOCH) // _MICROSECOND
    return micros, delivery.event_revision, delivery.event_index, delivery.id
