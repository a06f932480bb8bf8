"""WebhookService over a real server: what is refused, what is shown, and what arrives."""

import contextlib
import uuid

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks import Webhook as Verifier

from registry_grpc.v1 import events_pb2, projects_pb2, server_pb2, webhooks_pb2
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.deployments import distributed_settings
from tests.kit.receiver import receiving
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.waiting import until
from tests.promises.webhooks.hooks import LOOPBACK, Hooks, revisions

PUBLIC = "https://8.8.8.8/hook"
DELIVERED = webhooks_pb2.Delivery.STATE_DELIVERED
DEAD = webhooks_pb2.Delivery.STATE_DEAD


@pytest.fixture(scope="module")
def server():
    with running(LOOPBACK) as started:
        yield started


@pytest.fixture
def hooks(server):
    api = server.api()
    yield Hooks(Catalogue(api))
    api.close()


@pytest.fixture(scope="module")
def strict():
    """A server whose operator allows no network."""
    with running() as started:
        yield started


def creation(parent, url, **fields):
    webhook = webhooks_pb2.Webhook(url=url, **fields)
    return webhooks_pb2.CreateWebhookRequest(parent=parent, webhook_id=new_id("w"), webhook=webhook)


@pytest.mark.promise("P14", "webhook addresses")
@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://192.168.1.1/"),
        *("https://169.254.169.254/latest/meta-data/", "https://[::ffff:10.0.0.1]/", "https://[::1]/"),
        *("https://0x7f.1/", "https://2130706433/", "https://0177.1/", "https://user:password@8.8.8.8/"),
        *("https://8.8.8.8:22/", "http://8.8.8.8/", "ftp://8.8.8.8/", "https://8.8.8.8/#x", "https://nowhere.invalid/"),
        "",
    ],
)
def test_an_address_that_leads_inside_is_refused_and_named(strict, url):
    api = strict.api()
    parent = Catalogue(api).parent
    refusal = refused(api.webhooks.CreateWebhook, creation(parent, url))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert refusal.fields == ("webhook.url",)
    name = api.webhooks.CreateWebhook(creation(parent, PUBLIC, disabled=True)).webhook.name
    changed = webhooks_pb2.UpdateWebhookRequest(
        webhook=webhooks_pb2.Webhook(name=name, url=url), update_mask=FieldMask(paths=["url"])
    )
    assert refused(api.webhooks.UpdateWebhook, changed).reason == "INVALID_FIELD"
    # Other fields can be changed whatever becomes of the name meanwhile.
    other = webhooks_pb2.UpdateWebhookRequest(webhook=webhooks_pb2.Webhook(name=name, display_name="x"))
    assert api.webhooks.UpdateWebhook(other).display_name == "x"
    api.close()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"models": ["Not An Id"]}, "webhook.models[0]"),
        ({"resource_types": ["Webhook"]}, "webhook.resource_types[0]"),
        ({"actions": [99]}, "webhook.actions[0]"),
        ({"actions": [0]}, "webhook.actions[0]"),
        ({"stages": ["1"]}, "webhook.stages[0]"),
        ({"models": ["m"] * 101}, "webhook.models"),
        ({"display_name": "x" * 129}, "webhook.display_name"),
    ],
)
def test_filters_that_mean_nothing_are_refused(hooks, fields, path):
    refusal = refused(hooks.stub.CreateWebhook, creation(hooks.catalogue.parent, PUBLIC, **fields))
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", (path,))


def test_a_webhook_lives(hooks):
    made = hooks.create(PUBLIC, display_name="mine", actions=[events_pb2.EVENT_ACTION_ASSIGNED], disabled=True)
    name = made.webhook.name
    assert hooks.get(name) == made.webhook
    listed = hooks.stub.ListWebhooks(webhooks_pb2.ListWebhooksRequest(parent=hooks.catalogue.parent))
    assert list(listed.webhooks) == [made.webhook]
    stale = webhooks_pb2.UpdateWebhookRequest(webhook=webhooks_pb2.Webhook(name=name, display_name="x", etag="0"))
    assert refused(hooks.stub.UpdateWebhook, stale).reason == "ETAG_MISMATCH"
    twice = webhooks_pb2.CreateWebhookRequest(
        parent=hooks.catalogue.parent, webhook_id=name.rpartition("/")[2], webhook=made.webhook
    )
    assert refused(hooks.stub.CreateWebhook, twice).reason == "RESOURCE_EXISTS"
    hooks.stub.DeleteWebhook(webhooks_pb2.DeleteWebhookRequest(name=name, etag=made.webhook.etag))
    for method, request in (
        (hooks.stub.GetWebhook, webhooks_pb2.GetWebhookRequest(name=name)),
        (hooks.stub.TestWebhook, webhooks_pb2.TestWebhookRequest(name=name)),
        (hooks.stub.ListDeliveries, webhooks_pb2.ListDeliveriesRequest(parent=name)),
        (hooks.stub.RedeliverDeliveries, webhooks_pb2.RedeliverDeliveriesRequest(parent=name, all_dead=True)),
    ):
        assert refused(method, request).reason == "WEBHOOK_NOT_FOUND"


def test_a_secret_is_shown_once(server, hooks):
    request = creation(hooks.catalogue.parent, PUBLIC, disabled=True)
    request.request_id = str(uuid.uuid4())
    first, again = hooks.stub.CreateWebhook(request), hooks.stub.CreateWebhook(request)
    assert first.secret.startswith("whsec_")
    assert (again.webhook, again.secret) == (first.webhook, "")
    rotation = webhooks_pb2.RotateWebhookSecretRequest(name=first.webhook.name, request_id=str(uuid.uuid4()))
    second, replayed = hooks.stub.RotateWebhookSecret(rotation), hooks.stub.RotateWebhookSecret(rotation)
    assert second.secret not in {"", first.secret}
    assert (replayed.webhook, replayed.secret) == (second.webhook, "")
    dry = creation(hooks.catalogue.parent, PUBLIC)
    dry.validate_only = True
    assert hooks.stub.CreateWebhook(dry).secret == ""
    kept = b"".join(path.read_bytes() for path in server.data_dir.glob("registry.db*"))
    for secret in (first.secret, second.secret):
        assert secret.removeprefix("whsec_").encode() not in kept
        assert secret.removeprefix("whsec_") not in server.log


def test_a_rotation_signs_with_both_secrets_for_a_while(hooks):
    with receiving() as receiver:
        made = hooks.create(receiver.url)
        test = webhooks_pb2.TestWebhookRequest(name=made.webhook.name)

        def rotate(**overlap):
            request = webhooks_pb2.RotateWebhookSecretRequest(name=made.webhook.name, **overlap)
            return hooks.stub.RotateWebhookSecret(request)

        second = rotate()
        assert hooks.stub.TestWebhook(test).state == DELIVERED
        both = receiver.received[-1]
        for secret in (made.secret, second.secret):
            assert Verifier(secret).verify(both.body, both.headers)
        assert second.webhook.HasField("old_secret_expire_time")
        third = rotate(overlap=Duration(seconds=0))
        assert hooks.stub.TestWebhook(test).state == DELIVERED
        one = receiver.received[-1]
        assert Verifier(third.secret).verify(one.body, one.headers)
        for secret in (made.secret, second.secret):
            with pytest.raises(Exception, match="No matching signature"):
                Verifier(secret).verify(one.body, one.headers)
        assert refused(rotate, overlap=Duration(seconds=8 * 86400)).reason == "INVALID_FIELD"


def test_events_arrive_signed_and_in_order_and_can_be_listed(hooks):
    with receiving() as receiver:
        made = hooks.create(receiver.url)
        model = hooks.catalogue.model()
        told = [hooks.touch(model, f"{turn}").revision for turn in range(5)]
        name = made.webhook.name
        until(lambda: hooks.get(name).HasField("last_success_time") and not hooks.get(name).pending_deliveries, 30)
        until(lambda: len(receiver.taken()) == 6, within_s=30)
        assert revisions(receiver.taken())[model][1:] == told
        for each in receiver.taken():
            assert Verifier(made.secret).verify(each.body, each.headers)
        listed = hooks.deliveries(name, page_size=2)
        assert [each.name.rpartition("/")[2] for each in reversed(listed)] == [each.id for each in receiver.taken()]
        assert {each.state for each in listed} == {DELIVERED}
        assert [each.body for each in reversed(listed)] == [each.body for each in receiver.taken()]
        assert hooks.deliveries(name, DEAD) == []


def test_a_test_says_what_came_of_it_and_is_kept(hooks):
    with receiving(500) as receiver:
        name = hooks.create(receiver.url, models=["none"]).webhook.name
        failed = hooks.stub.TestWebhook(webhooks_pb2.TestWebhookRequest(name=name))
        assert (failed.state, failed.event_type) == (DEAD, "dev.registry-grpc.webhook.test.v1")
        assert failed.attempts[0].http_status == 500
        assert hooks.deliveries(name) == [failed]
        receiver.answer = 200
        again = webhooks_pb2.RedeliverDeliveriesRequest(parent=name, names=[failed.name])
        assert hooks.stub.RedeliverDeliveries(again).count == 1
        until(lambda: hooks.deliveries(name)[0].state == DELIVERED, within_s=30)
        assert {each.id for each in receiver.received} == {failed.name.rpartition("/")[2]}


def test_what_cannot_be_delivered_again(hooks):
    name = hooks.create(PUBLIC, disabled=True).webhook.name
    other = hooks.create(PUBLIC, disabled=True).webhook.name
    absent = f"{name}/deliveries/{uuid.UUID(int=1)}"

    def asked(**fields):
        request = webhooks_pb2.RedeliverDeliveriesRequest(parent=name, **fields)
        return refused(hooks.stub.RedeliverDeliveries, request).reason

    assert asked() == "INVALID_FIELD"
    assert asked(names=[absent], all_dead=True) == "INVALID_FIELD"
    assert asked(names=[absent.replace(name, other)]) == "INVALID_FIELD"
    assert asked(names=[absent]) == "DELIVERY_NOT_FOUND"


def test_nothing_of_another_project_is_sent(server, hooks):
    with receiving() as receiver:
        hooks.create(receiver.url)
        other = Hooks(Catalogue(server.api()))
        foreign, own = other.catalogue.model(), hooks.catalogue.model()
        other.touch(foreign, "x")
        until(receiver.taken, within_s=30)
        assert set(revisions(receiver.taken())) == {own}


def test_only_who_administers_the_project_may(server, hooks):
    office = Office(server)
    name = hooks.create(PUBLIC, disabled=True).webhook.name
    for role in ("viewer", "contributor", "deployer"):
        api = office.bound(role, hooks.catalogue.parent).at(server)
        assert refused(api.webhooks.GetWebhook, webhooks_pb2.GetWebhookRequest(name=name)).code == "PERMISSION_DENIED"
        api.close()
    stranger = office.somebody().at(server)
    assert refused(stranger.webhooks.GetWebhook, webhooks_pb2.GetWebhookRequest(name=name)).code == "NOT_FOUND"
    admin = office.bound("admin", hooks.catalogue.parent).at(server)
    assert admin.webhooks.GetWebhook(webhooks_pb2.GetWebhookRequest(name=name)).name == name
    stranger.close()
    admin.close()
    office.close()


def test_a_project_that_is_purged_takes_its_webhooks_along(hooks):
    project = hooks.catalogue.parent
    hooks.create(PUBLIC, disabled=True)
    projects = hooks.catalogue.api.projects
    projects.DeleteProject(projects_pb2.DeleteProjectRequest(name=project))
    projects.PurgeProject(projects_pb2.PurgeProjectRequest(name=project))
    projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project.removeprefix("projects/")))
    assert not hooks.stub.ListWebhooks(webhooks_pb2.ListWebhooksRequest(parent=project)).webhooks


def test_a_replica_without_a_key_says_which_setting_is_missing(service_environment):
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(distributed_settings(service_environment))
        keyless = stack.enter_context(running({k: v for k, v in settings.items() if k != "secrets_key_file"}))
        api = keyless.api()
        refusal = refused(api.webhooks.ListWebhooks, webhooks_pb2.ListWebhooksRequest(parent="projects/default"))
        assert refusal.reason == "FEATURE_DISABLED"
        assert "secrets_key_file" in refusal.text
        info = api.server.GetServerInfo(server_pb2.GetServerInfoRequest())
        assert "webhooks" not in info.features
        keyed = stack.enter_context(running(settings))
        other = keyed.api(keyless.token)
        assert "webhooks" in other.server.GetServerInfo(server_pb2.GetServerInfoRequest()).features
        assert other.webhooks.CreateWebhook(creation("projects/default", PUBLIC, disabled=True)).secret
        api.close()
        other.close()
