"""Webhooks of a server, by its RPCs."""

from collections import defaultdict
from typing import Any

from registry_grpc.v1 import models_pb2, webhooks_pb2
from tests.kit.catalogue import Catalogue, new_id, pages
from tests.kit.receiver import Received

LOOPBACK = {"webhook_allow_networks": "127.0.0.0/8"}


class Hooks:
    """The webhooks of one project."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.stub = catalogue.api.webhooks

    def create(self, url: str, **fields: Any) -> webhooks_pb2.CreateWebhookResponse:
        webhook = webhooks_pb2.Webhook(url=url, **fields)
        request = webhooks_pb2.CreateWebhookRequest(
            parent=self.catalogue.parent, webhook_id=new_id("w"), webhook=webhook
        )
        return self.stub.CreateWebhook(request)

    def get(self, name: str) -> webhooks_pb2.Webhook:
        return self.stub.GetWebhook(webhooks_pb2.GetWebhookRequest(name=name))

    def deliveries(self, name: str, *states: int, page_size: int = 0) -> list[webhooks_pb2.Delivery]:
        request = webhooks_pb2.ListDeliveriesRequest(parent=name, states=states, page_size=page_size)
        return list(pages(self.stub.ListDeliveries, request))

    def touch(self, model: str, text: str) -> models_pb2.Model:
        changed = models_pb2.Model(name=model, owner=text)
        return self.catalogue.api.models.UpdateModel(models_pb2.UpdateModelRequest(model=changed))


def revisions(received: list[Received]) -> dict[str, list[int]]:
    """Of each model, the revisions in the order in which they came first."""
    found: dict[str, list[int]] = defaultdict(list)
    for each in received:
        event = each.event
        model = event["subject"].partition("/versions/")[0]
        revision = int(event["data"]["revision"])
        if revision not in found[model]:
            found[model].append(revision)
    return found


def require_one_id_for_each_event(received: list[Received]) -> None:
    """A receiver that forgets ids it knows has every event once; no attempt came twice."""
    ids = defaultdict(set)
    for each in received:
        ids[each.event["id"]].add(each.id)
    assert {len(each) for each in ids.values()} == {1}
    assert len({next(iter(each)) for each in ids.values()}) == len(ids)
    attempts = [(each.id, each.headers["webhook-timestamp"]) for each in received]
    assert len(attempts) == len(set(attempts))
