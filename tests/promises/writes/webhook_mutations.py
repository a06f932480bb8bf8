"""The mutations of WebhookService: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import webhooks_pb2
from tests.kit.catalogue import Catalogue, new_id

# Nothing is ever sent there: the webhooks are disabled.
URL = "https://8.8.8.8/hook"
WANTS = webhooks_pb2.Webhook(url=URL, models=["none"], disabled=True)


def _webhook(catalogue: Catalogue) -> str:
    request = webhooks_pb2.CreateWebhookRequest(parent=catalogue.parent, webhook_id=new_id("w"), webhook=WANTS)
    return catalogue.api.webhooks.CreateWebhook(request).webhook.name


def create_webhook(catalogue: Catalogue) -> Any:
    request = webhooks_pb2.CreateWebhookRequest(parent=catalogue.parent, webhook_id=new_id("w"), webhook=WANTS)
    return request, {"webhook_id": new_id("w")}


def update_webhook(catalogue: Catalogue) -> Any:
    name = _webhook(catalogue)
    request = webhooks_pb2.UpdateWebhookRequest(webhook=webhooks_pb2.Webhook(name=name, display_name="new"))
    return request, {"webhook": webhooks_pb2.Webhook(name=name, display_name="other")}


def delete_webhook(catalogue: Catalogue) -> Any:
    return webhooks_pb2.DeleteWebhookRequest(name=_webhook(catalogue)), {"etag": "other"}


def rotate_secret(catalogue: Catalogue) -> Any:
    return webhooks_pb2.RotateWebhookSecretRequest(name=_webhook(catalogue)), {"etag": "other"}


def redeliver(catalogue: Catalogue) -> Any:
    request = webhooks_pb2.RedeliverDeliveriesRequest(parent=_webhook(catalogue), all_dead=True)
    return request, {"parent": _webhook(catalogue)}


WEBHOOK_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "WebhookService.CreateWebhook": create_webhook,
    "WebhookService.UpdateWebhook": update_webhook,
    "WebhookService.DeleteWebhook": delete_webhook,
    "WebhookService.RotateWebhookSecret": rotate_secret,
    "WebhookService.RedeliverDeliveries": redeliver,
}
WEBHOOK_READS = {
    "WebhookService.GetWebhook",
    "WebhookService.ListWebhooks",
    "WebhookService.ListDeliveries",
    "WebhookService.TestWebhook",
}
"""A test sends something and changes nothing that has a revision."""
EMPTY_ANSWERS = {"WebhookService.DeleteWebhook", "WebhookService.RedeliverDeliveries"}
"""Nothing is left to say; nothing was dead."""
