"""Webhooks: events pushed to other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message
from registry_grpc.client.session import Session
from registry_grpc.v1 import webhooks_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta


class WebhookCalls(Session):
    """Webhooks and their deliveries, at `registry.webhooks`. Every method raises RegistryError.

    A webhook is given as its resource name, or its id alone for one in the project of this client.
    """

    def create(self, webhook: str, url: str, **fields: Any) -> webhooks_pb2.CreateWebhookResponse:  # noqa: ANN401 -- checked by field
        """The new webhook; its `secret` is in this answer and nowhere else.

        `fields` are those of the message, e.g. `models=["fraud"], resource_types=["Stage"]`; all events without any.
        """
        parent, _, webhook_id = self.name_of(webhook).rpartition("/webhooks/")
        wanted = message(webhooks_pb2.Webhook, {"url": url, **fields}, "webhook")
        request = webhooks_pb2.CreateWebhookRequest(parent=parent, webhook_id=webhook_id, webhook=wanted)
        made = self._connection.write(self._connection.stubs.webhooks.CreateWebhook, request)
        if made.secret:
            return made
        # The answer that had it was lost and this is the one to a retry: nobody knows that secret any more.
        rotation = webhooks_pb2.RotateWebhookSecretRequest(name=made.webhook.name, overlap=Duration())
        rotated = self._connection.write(self._connection.stubs.webhooks.RotateWebhookSecret, rotation)
        return webhooks_pb2.CreateWebhookResponse(webhook=rotated.webhook, secret=rotated.secret)

    def get(self, webhook: str) -> webhooks_pb2.Webhook:
        """One webhook, and how it gets on."""
        request = webhooks_pb2.GetWebhookRequest(name=self.name_of(webhook))
        return self._connection.read(self._connection.stubs.webhooks.GetWebhook, request)

    def list(self, project: str | None = None, *, page_size: int = 0) -> Iterable[webhooks_pb2.Webhook]:
        """The webhooks of a project, by id; fetched page by page. None means the project of this client."""
        parent = self.project_name(project)

        def fetch(token: str) -> webhooks_pb2.ListWebhooksResponse:
            request = webhooks_pb2.ListWebhooksRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.webhooks.ListWebhooks, request)

        return Pages[webhooks_pb2.Webhook](fetch, "webhooks")

    def update(self, webhook: str, *, etag: str = "", **fields: Any) -> webhooks_pb2.Webhook:  # noqa: ANN401 -- checked by field
        """The changed webhook; `fields` are those of the message."""
        changed = message(webhooks_pb2.Webhook, fields, "webhook")
        changed.name = self.name_of(webhook)
        changed.etag = etag
        request = webhooks_pb2.UpdateWebhookRequest(webhook=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.webhooks.UpdateWebhook, request)

    def delete(self, webhook: str, *, etag: str = "") -> None:
        """Delete it with its deliveries."""
        request = webhooks_pb2.DeleteWebhookRequest(name=self.name_of(webhook), etag=etag)
        self._connection.write(self._connection.stubs.webhooks.DeleteWebhook, request)

    def rotate_secret(
        self, webhook: str, *, overlap: timedelta | None = None, etag: str = ""
    ) -> webhooks_pb2.RotateWebhookSecretResponse:
        """The webhook and its new `secret`, which is shown once; the old one signs too for `overlap`, else for a day.

        The `secret` is empty when the first answer was lost on its way: rotate again.
        """
        request = webhooks_pb2.RotateWebhookSecretRequest(name=self.name_of(webhook), etag=etag)
        if overlap is not None:
            request.overlap.FromTimedelta(overlap)
        return self._connection.write(self._connection.stubs.webhooks.RotateWebhookSecret, request)

    def test(self, webhook: str) -> webhooks_pb2.Delivery:
        """Send a test event now; what came of it is in `state` and `attempts`."""
        request = webhooks_pb2.TestWebhookRequest(name=self.name_of(webhook))
        return self._connection.write(self._connection.stubs.webhooks.TestWebhook, request)

    def deliveries(
        self, webhook: str, *, states: Iterable[webhooks_pb2.Delivery.State.ValueType] = (), page_size: int = 0
    ) -> Iterable[webhooks_pb2.Delivery]:
        """Its deliveries, newest first, e.g. `states=[Delivery.STATE_DEAD]`; fetched page by page."""
        parent, wanted = self.name_of(webhook), [*states]

        def fetch(token: str) -> webhooks_pb2.ListDeliveriesResponse:
            request = webhooks_pb2.ListDeliveriesRequest(
                parent=parent, states=wanted, page_size=page_size, page_token=token
            )
            return self._connection.read(self._connection.stubs.webhooks.ListDeliveries, request)

        return Pages[webhooks_pb2.Delivery](fetch, "deliveries")

    def redeliver(self, webhook: str, deliveries: Iterable[str] = (), *, all_dead: bool = False) -> int:
        """Put deliveries, given by name or id, back in line, or the oldest 1000 that were given up; how many."""
        parent = self.name_of(webhook)
        names = [each if "/" in each else f"{parent}/deliveries/{each}" for each in deliveries]
        request = webhooks_pb2.RedeliverDeliveriesRequest(parent=parent, names=names, all_dead=all_dead)
        return self._connection.write(self._connection.stubs.webhooks.RedeliverDeliveries, request).count

    def name_of(self, webhook: str) -> str:
        """Resource name of a webhook in any form of this class."""
        return webhook if "/" in webhook else f"{self.project_name()}/webhooks/{webhook}"
