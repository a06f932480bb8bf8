"""Webhooks without a server: what they want, when they are tried again, how they sign, what is kept of secrets."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.webhook_names import WebhookName
from registry_grpc.domain.webhooks import (
    MAX_KEPT_ATTEMPTS,
    SCHEDULE,
    Attempt,
    Delivery,
    DeliveryState,
    Summary,
    Webhook,
    pause_after,
)
from registry_grpc.storage.sql.documents import RESOURCES
from registry_grpc.webhooks.line import judged
from registry_grpc.webhooks.secrets import KEY_BYTES, SealedSecrets, own_key, read_key, signatures

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UID = "3f2b8c1e-5a44-4c2e-9d0b-7a1c2e3d4f50"
BODY = '{"specversion":"1.0","data":"ünïcode"}'
SECRETS = SealedSecrets(bytes(KEY_BYTES))


def webhook(**fields):
    given = {"uid": UID, "name": WebhookName("p", "w"), "url": "https://example.com", "create_time": NOW}
    return Webhook(**given, update_time=NOW, **fields)


def summary(**fields):
    given = {"project": "p", "model": "m", "resource_type": "Stage", "action": "assigned", "stage": "production"}
    return Summary(**(given | fields), event_type="t", subject="s")


def delivery(**fields):
    given = {"id": "d", "webhook_uid": UID, "webhook": WebhookName("p", "w"), "lane": "m", "event_revision": 1}
    return Delivery(**given, event_index=0, event_type="t", subject="s", body=BODY, create_time=NOW, **fields)


def attempt(status=0, retry_after=None):
    error = "" if 200 <= status < 300 else "no"
    wish = None if retry_after is None else timedelta(seconds=retry_after)
    return Attempt(NOW, timedelta(seconds=1), status, error, wish)


@pytest.mark.parametrize(
    ("wish", "event", "wanted"),
    [
        ({}, {}, True),
        ({}, {"model": "", "resource_type": "Project"}, True),
        ({}, {"project": "other"}, False),
        ({"models": ("m", "n")}, {}, True),
        ({"models": ("n",)}, {}, False),
        ({"models": ("m",)}, {"model": "", "resource_type": "Project"}, False),
        ({"resource_types": ("Stage",)}, {}, True),
        ({"resource_types": ("Alias",)}, {}, False),
        ({"actions": ("assigned",)}, {}, True),
        ({"actions": ("cleared",)}, {}, False),
        ({"stages": ("production",)}, {}, True),
        ({"stages": ("staging",)}, {}, False),
        ({"stages": ("staging",)}, {"resource_type": "Alias", "stage": ""}, True),
    ],
)
def test_filters(wish, event, wanted):
    assert webhook(**wish).wants(summary(**event)) is wanted


def test_the_schedule_is_that_of_standard_webhooks_with_jitter():
    assert sum(SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    for tries in range(1, len(SCHEDULE)):
        low, high = (pause_after(tries, attempt(500), jitter) for jitter in (0.0, 1.0))
        assert low == SCHEDULE[tries] * 0.9
        assert high == SCHEDULE[tries] * 1.1
    assert pause_after(len(SCHEDULE), attempt(500), 0.5) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_receiver_is_not_asked_again_before_it_wishes(status):
    assert pause_after(1, attempt(status, 3600), 0.5) == timedelta(hours=1)
    assert pause_after(1, attempt(status, 10**9), 0.5) == timedelta(hours=24)
    assert pause_after(4, attempt(status, 1), 0.5) == SCHEDULE[4]


def test_only_a_busy_receiver_says_when():
    assert pause_after(1, attempt(500, 3600), 0.5) == SCHEDULE[1]


def test_a_delivery_is_tried_until_the_schedule_ends():
    tried = delivery()
    for number in range(1, len(SCHEDULE) + 1):
        assert tried.state is DeliveryState.PENDING
        tried = judged(tried, attempt(500), NOW, 0.5)
        assert tried.tries == number
    assert (tried.state, tried.end_time, tried.next_attempt_time) == (DeliveryState.DEAD, NOW, None)


def test_what_ends_a_delivery():
    assert judged(delivery(), attempt(204), NOW, 0.5).state is DeliveryState.DELIVERED
    assert judged(delivery(), attempt(410), NOW, 0.5).state is DeliveryState.DEAD
    assert judged(delivery(), attempt(301), NOW, 0.5).state is DeliveryState.PENDING


def test_only_so_many_attempts_are_kept():
    tried = delivery()
    for _ in range(MAX_KEPT_ATTEMPTS + 5):
        tried = judged(replace(tried, state=DeliveryState.PENDING, tries=0), attempt(500), NOW, 0.5)
    assert len(tried.attempts) == MAX_KEPT_ATTEMPTS


def signed(secrets, when):
    timestamp = int(when.timestamp())
    return {
        "webhook-id": "msg",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures("msg", timestamp, BODY.encode(), secrets),
    }


def test_the_library_of_standard_webhooks_takes_our_signatures():
    secret = SECRETS.new()
    headers = signed([secret], datetime.now(UTC))
    assert Verifier(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(BODY + " ", headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS.new()).verify(BODY, headers)


def test_it_makes_the_same_signatures():
    secret, now = SECRETS.new(), datetime.now(UTC)
    assert signatures("msg", int(now.timestamp()), BODY.encode(), [secret]) == Verifier(secret).sign("msg", now, BODY)


def test_during_a_rotation_either_secret_verifies():
    secrets = [SECRETS.new(), SECRETS.new()]
    headers = signed(secrets, datetime.now(UTC))
    for secret in secrets:
        assert Verifier(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS.new()).verify(BODY, headers)


def test_a_secret_has_256_random_bits():
    made = {SECRETS.new() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b64decode(each.removeprefix("whsec_"))) for each in made} == {32}


def test_a_sealed_secret_opens_for_its_webhook_and_key_only():
    secret = SECRETS.new()
    sealed = SECRETS.seal(UID, secret)
    assert secret.encode() not in sealed
    assert SECRETS.open(UID, sealed) == secret
    for keeper, uid in ((SECRETS, UID[::-1]), (SealedSecrets(b"k" * KEY_BYTES), UID)):
        with pytest.raises(ValueError, match="another key"):
            keeper.open(uid, sealed)
    with pytest.raises(ValueError, match="another key"):
        SECRETS.open(UID, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(ValueError, match="form"):
        SECRETS.open(UID, b"\x02" + sealed[1:])


def test_the_same_secret_is_never_sealed_twice_the_same_way():
    assert len({SECRETS.seal(UID, "whsec_AAAA") for _ in range(20)}) == 20


def test_no_secret_is_in_an_event_or_a_repr():
    kept = webhook(secret=b"sealed-one", old_secret=b"sealed-two")
    _, codec = RESOURCES["webhook"]
    text = codec.encode(kept)
    for shown in (text, repr(kept)):
        assert "sealed" not in shown
    assert codec.decode(text) == replace(kept, secret=b"", old_secret=b"")


def test_an_embedded_server_makes_its_key_once(tmp_path):
    key = own_key(tmp_path)
    assert own_key(tmp_path) == key
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.key"]


@pytest.mark.parametrize("text", ["", "c2hvcnQ=", "not base64!", base64.b64encode(bytes(33)).decode()])
def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ValueError, match="32 bytes") as refused:
        read_key(path)
    assert not text or text not in str(refused.value)


def test_names_have_one_form():
    good = "projects/p/webhooks/w"
    assert str(WebhookName.parse(good)) == good
    for bad in ("", good + "/", "projects/p/webhooks/W", "webhooks/w", good + "/deliveries/x"):
        with pytest.raises(RegistryError, match="is not a name of the form"):
            WebhookName.parse(bad)
