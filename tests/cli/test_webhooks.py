"""`mreg webhooks` against a real server and a real receiver."""

import json

import pytest
from standardwebhooks import Webhook as Verifier

from tests.kit.catalogue import Catalogue, new_id
from tests.kit.receiver import receiving
from tests.kit.server import running
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def server():
    with running({"webhook_allow_networks": "127.0.0.0/8"}) as process:
        yield process


@pytest.fixture
def receiver():
    with receiving() as started:
        yield started


@pytest.fixture
def project(server, monkeypatch):
    catalogue = Catalogue(server.api())
    monkeypatch.setenv("MREG_PROJECT", catalogue.parent.removeprefix("projects/"))
    yield catalogue
    catalogue.api.close()


def shown(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_webhook_from_its_first_day_to_its_last(connected, project, receiver):
    made = connected("webhooks", "create", "ci", receiver.url, "--type", "Model", "--action", "created")
    assert made.code == 0, made.err
    secret = made.out.strip()
    assert "not shown again" in made.err
    project.model("fraud")
    until(receiver.taken, within_s=30)
    (got,) = receiver.taken()
    assert Verifier(secret).verify(got.body, got.headers)
    until(lambda: shown(connected("webhooks", "get", "ci", "-o", "json")).get("last_success_time"), within_s=30)
    (listed,) = shown(connected("webhooks", "deliveries", "ci", "-o", "json"))
    assert listed["state"] == "STATE_DELIVERED"
    assert connected("webhooks", "deliveries", "ci", "--state", "dead", "-o", "json").out.strip() == "[]"
    again = connected("webhooks", "redeliver", "ci", got.id)
    assert (again.code, again.out.strip()) == (0, "1")
    until(lambda: len(receiver.taken()) == 2, within_s=30)
    rotated = connected("webhooks", "rotate", "ci", "--overlap", "0s")
    assert connected("webhooks", "test", "ci").code == 0
    tested = receiver.taken()[-1]
    assert Verifier(rotated.out.strip()).verify(tested.body, tested.headers)
    changed = shown(connected("webhooks", "update", "ci", "--disable", "--type", "", "-o", "json"))
    assert changed["disabled"] is True
    assert "resource_types" not in changed
    assert changed["actions"] == ["EVENT_ACTION_CREATED"]
    assert "yes" in connected("webhooks", "list").out
    assert connected("webhooks", "delete", "ci").code == 0
    assert connected("webhooks", "get", "ci").code == 3


def test_a_test_that_fails_says_so(connected, project, receiver):
    receiver.answer = 500
    name = new_id("w")
    connected("webhooks", "create", name, receiver.url)
    failed = connected("webhooks", "test", name)
    assert failed.code == 1
    assert "HTTP 500" in failed.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "w", "https://10.0.0.1/"), "webhook_allow_networks"),
        (("create", "w", "https://8.8.8.8/", "--action", "exploded"), "exploded"),
        (("update", "w"), "nothing to change"),
        (("deliveries", "w", "--state", "lost"), "none of pending"),
        (("redeliver", "w"), "--all-dead"),
        (("rotate", "w", "--overlap", "soon"), "no number"),
    ],
)
def test_what_is_wrong_is_said(connected, project, arguments, says):
    result = connected("webhooks", *arguments)
    assert result.code != 0
    assert says.lower() in (result.err + result.out).lower()
