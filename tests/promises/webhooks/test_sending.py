"""One attempt and what a receiver, a resolver or the environment may do to it."""

import asyncio
import contextlib
import socket
import ssl
import time

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from registry_grpc.domain.names import ModelName
from registry_grpc.server.ids import RandomIds
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.models import CreateModel
from registry_grpc.webhooks import guard as guards
from registry_grpc.webhooks.guard import Guard, RefusedError, parse_networks, parse_target
from registry_grpc.webhooks.secrets import SealedSecrets
from tests.kit.pki import Authority, put
from tests.kit.receiver import receiving
from tests.promises.webhooks.world import CALL, HERE, World, until

PUBLIC = "93.184.215.14"


@pytest.fixture
def store(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path / 'data' / 'registry.db'}", auto_upgrade=True)
    yield store
    store.close()


async def attempt(world, url):
    """One attempt to send one event there."""
    name = world.webhook(url)
    world.model(name.webhook)
    world.dispatch()
    claimed = next(each for each in world.line.look({}).claimed if each.webhook.name == name)
    sent = await world.sender.send(claimed.webhook, claimed.delivery, claimed.now)
    world.line.settle(claimed, sent)
    return sent


@contextlib.asynccontextmanager
async def saying(*parts, pause_s=0.0):
    """A receiver that says these bytes to whoever connects, and then nothing more."""

    tasks = []

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            await reader.read(1)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
            await asyncio.sleep(60)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def resolver(*turns):
    """Answers the first turn with the first, and so on; the last one for ever."""
    left = list(turns)

    async def resolve(_host):
        return [left.pop(0) if len(left) > 1 else left[0]]

    return resolve


async def test_what_arrives_is_a_cloud_event_that_the_standards_library_verifies(world):
    with receiving() as receiver:
        sent = await attempt(world, f"{receiver.url}/hook?a=b")
        assert (sent.http_status, sent.error) == (204, "")
        (got,) = receiver.taken()
        (webhook,) = world.store.read(lambda reader: reader.webhooks.list("default", after="", limit=9))
        secret = world.secrets.open(webhook.uid, webhook.secret)
        assert Verifier(secret).verify(got.body, got.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(world.secrets.new()).verify(got.body, got.headers)
        assert got.path == "/hook?a=b"
        assert got.headers["content-type"].startswith("application/cloudevents+json")
        event = got.event
        assert {key: event[key] for key in ("specversion", "source", "type", "subject", "datacontenttype")} == {
            "specversion": "1.0",
            "source": f"mreg://{world.store.registry_uid}",
            "type": "dev.registry-grpc.model.created.v1",
            "subject": f"projects/default/models/{webhook.name.webhook}",
            "datacontenttype": "application/json",
        }
        assert event["data"]["model"]["name"] == event["subject"]
        assert event["data"]["actor"] == "user:ada"
        assert event["id"] == f"{event['data']['revision']}-0"


async def test_a_redirect_is_not_followed(world):
    with receiving() as elsewhere, receiving(307) as receiver:
        receiver.headers["location"] = elsewhere.url
        sent = await attempt(world, receiver.url)
        assert sent.http_status == 307
        assert "redirect" in sent.error
        assert elsewhere.received == []


@pytest.mark.promise("P14", "webhook addresses")
async def test_a_name_that_leads_elsewhere_the_second_time_is_refused_at_the_connection(store):
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        guard = Guard((), resolver(PUBLIC, "127.0.0.1"))
        url = f"https://rebinding.example:{port}/"
        assert await guard.addresses(parse_target(url))
        sent = await attempt(World(store, guard), url)
        assert sent.error.startswith("not sent: rebinding.example, which is 127.0.0.1,")
        assert receiver.received == []


async def test_what_was_resolved_is_what_is_connected_to(store):
    asked = []

    async def resolve(host):
        asked.append(host)
        return ["127.0.0.1"]

    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        # No resolver of this machine knows the name: the connection can only be to the address that was checked.
        sent = await attempt(World(store, Guard(HERE, resolve)), f"http://pinned.invalid:{port}/")
        assert sent.error == ""
        assert asked == ["pinned.invalid"]
        assert receiver.taken()[0].headers["host"] == f"pinned.invalid:{port}"


@pytest.mark.promise("P14", "webhook addresses")
async def test_metadata_is_refused_at_the_connection_whatever_is_allowed(store):
    guard = Guard(parse_networks(["0.0.0.0/0", "169.254.0.0/16"]), resolver("169.254.169.254"))
    sent = await attempt(World(store, guard), "http://innocent.example/")
    assert "may ever have" in sent.error


async def test_proxies_of_the_environment_are_not_used(world, monkeypatch):
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await attempt(world, receiver.url)).error == ""
        assert proxy.received == []
        assert len(receiver.taken()) == 1


async def test_certificates_are_verified_for_the_name_in_the_url(store, tmp_path):
    ours, theirs = Authority("ours"), Authority("theirs")
    identity = ours.identity("dns:hooks.example")
    tls = [put(tmp_path / "cert.pem", identity.certificate), put(tmp_path / "key.pem", identity.key)]
    known = put(tmp_path / "ca.pem", ours.pem)
    other = put(tmp_path / "other.pem", theirs.pem)
    guard = Guard(HERE, resolver("127.0.0.1"))
    with receiving(tls=tls) as receiver:
        port = receiver.url.rpartition(":")[2]
        good, bad = f"https://hooks.example:{port}/", f"https://other.example:{port}/"
        assert (await attempt(World(store, guard, ca_file=known), good)).error == ""
        for ca_file, url in ((known, bad), (other, good), (None, good)):
            sent = await attempt(World(store, guard, ca_file=ca_file), url)
            assert "certificate was not accepted" in sent.error
        assert len(receiver.received) == 1


async def test_a_receiver_that_only_drips_is_left_in_time(store):
    async with saying(*[b"H"] * 200, pause_s=0.1) as url:
        began = time.monotonic()
        sent = await attempt(World(store, timeout_s=1.0), url)
        assert "no answer within 1 s" in sent.error
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000], "longer than"),
        ([b"SSH-2.0-OpenSSH_9.9\r\n\r\n\r\n"], "does not speak HTTP"),
        ([b"HTTP/1.1 2000 OK\r\n\r\n"], "does not speak HTTP"),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 20, "interim"),
        ([b"\r\n\r\n"], "does not speak HTTP"),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(world, parts, says):
    async with saying(*parts) as url:
        sent = await attempt(world, url)
        assert says in sent.error
        assert sent.http_status == 0


async def test_interim_answers_are_passed_over(world):
    async with saying(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n") as url:
        assert (await attempt(world, url)).http_status == 204


async def test_of_a_long_answer_the_beginning_is_kept(world):
    with receiving(500) as receiver:
        receiver.text = b"why\x00\x1b[31m " + b"x" * 1_000_000
        sent = await attempt(world, receiver.url)
        assert sent.http_status == 500
        assert "why" in sent.error
        assert len(sent.error) <= 1024
        assert "\x1b" not in sent.error


async def test_nobody_there_is_an_attempt_like_any_other(world):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        sent = await attempt(world, f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert (sent.http_status, bool(sent.error)) == (0, True)


async def test_a_secret_sealed_with_another_key_says_so(world, store):
    with receiving() as receiver:
        world.sender = World(store).sender
        world.sender._secrets = SealedSecrets(b"k" * 32)
        sent = await attempt(world, receiver.url)
        assert "another key than that of secrets_key_file" in sent.error
        assert receiver.received == []


async def test_a_large_event_comes_without_its_resource(world):
    with receiving() as receiver:
        world.webhook(receiver.url)
        annotations = {f"k{number}": "ü" * 8192 for number in range(40)}
        CreateModel(world.store, RandomIds())(CALL, ModelName("default", "large"), {"annotations": annotations})
        async with world.working():
            await until(receiver.taken)
        event = receiver.taken()[0].event
        assert event["truncated"] is True
        assert "model" not in event["data"]
        assert event["data"]["name"] == "projects/default/models/large"


async def test_a_guard_asks_for_a_name_only_so_long(monkeypatch):
    async def never(_host):
        await asyncio.sleep(60)

    monkeypatch.setattr(guards, "RESOLVE_TIMEOUT_S", 0.1)
    with pytest.raises(RefusedError, match="not resolved in"):
        await Guard((), never).addresses(parse_target("https://slow.example/"))


def test_tls_is_no_older_than_it_should_be(store):
    assert World(store).sender._tls.minimum_version >= ssl.TLSVersion.TLSv1_2
