"""`registry.webhooks` against a real server and a real receiver."""

from datetime import timedelta

import pytest
from standardwebhooks import Webhook as Verifier

from registry_grpc.client import NotFound, Registry
from registry_grpc.v1 import webhooks_pb2
from tests.kit.receiver import receiving
from tests.kit.server import running
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def server():
    with running({"webhook_allow_networks": "127.0.0.0/8"}) as started:
        yield started


@pytest.fixture
def registry(server):
    with Registry(server.endpoint, token=server.token) as registry:
        yield registry


def test_a_webhook_by_the_sdk(registry):
    with receiving(500) as receiver:
        made = registry.webhooks.create("sdk", receiver.url, models=["spam"], actions=["EVENT_ACTION_CREATED"])
        assert registry.webhooks.get("sdk") == made.webhook
        assert [each.name for each in registry.webhooks.list()] == [made.webhook.name]
        assert registry.webhooks.test("sdk").state == webhooks_pb2.Delivery.STATE_DEAD
        receiver.answer = 204
        assert registry.webhooks.redeliver("sdk", all_dead=True) == 1
        until(receiver.taken, within_s=30)
        first = receiver.taken()[0]
        assert Verifier(made.secret).verify(first.body, first.headers)
        registry.create_model("ham")
        registry.create_model("spam")
        until(lambda: len(receiver.taken()) == 2, within_s=30)
        second = receiver.taken()[1]
        assert second.event["subject"] == "projects/default/models/spam"
        done = [webhooks_pb2.Delivery.STATE_DELIVERED]
        until(lambda: len(list(registry.webhooks.deliveries("sdk", states=done))) == 2, within_s=30)
        assert registry.webhooks.redeliver("sdk", [second.id]) == 1
        rotated = registry.webhooks.rotate_secret("sdk", overlap=timedelta(hours=1))
        assert rotated.secret not in {"", made.secret}
        assert registry.webhooks.update("sdk", display_name="x", disabled=True).disabled
        registry.webhooks.delete(made.webhook.name)
        with pytest.raises(NotFound):
            registry.webhooks.get("sdk")
