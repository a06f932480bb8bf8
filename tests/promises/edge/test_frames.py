"""What no gRPC client would send, in raw frames: rows 6 and 8 to 17 and 19 of the table of hostile inputs."""

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from registry_grpc.v1 import models_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.costs import cpu_s, polite_client, rss_bytes
from tests.kit.frames import RawConnection, Reply, call, message
from tests.kit.server import RegistryServer, running
from tests.kit.waiting import until

INFO = "/registry_grpc.v1.ServerService/GetServerInfo"
CREATE = "/registry_grpc.v1.ModelService/CreateModel"
MIB = 1 << 20
REPEATS = 10
"""The kernel counts processor time in steps of 10 ms."""


@dataclass(frozen=True)
class Row:
    """One input: what is sent, what is seen of it, and whether the connection must live on."""

    send: Callable[[RawConnection, str], Reply]
    outcome: str
    says: str = ""
    lives: bool = True


def unary(data=None, *more, end=True, **changes):
    body = message() if data is None else data
    return lambda raw, token: raw.call(call(INFO, *more, token=token, **changes), body, end=end)


def path(text):
    def send(raw, token):
        return raw.call([(key, text if key == ":path" else value) for key, value in call(INFO, token=token)], message())

    return Row(send, "UNIMPLEMENTED")


ROWS = {
    "06 length prefix of 4 GiB": Row(unary(message(b"abc", length=2**32 - 1)), "RESOURCE_EXHAUSTED", "4294967295"),
    "06 length prefix of 4 GiB, left open": Row(
        unary(message(b"abc", length=2**32 - 1), end=False), "RESOURCE_EXHAUSTED", "4294967295"
    ),
    "08 compressed without an encoding": Row(unary(message(b"abc", compressed=1)), "INTERNAL", "no encoding"),
    "08 unknown encoding": Row(unary(message(b"a", compressed=1), grpc_encoding="brotli"), "INTERNAL", "grpc-encoding"),
    "08 binary header that is no base64": Row(unary(None, ("x-bin", "%%%")), "INTERNAL", "base64"),
    "09 metadata of 12 KiB": Row(unary(None, ("x-large", "a" * 12_288)), "RESOURCE_EXHAUSTED", "metadata size"),
    "09 metadata of 200 KiB": Row(unary(None, ("x-large", "a" * 204_800)), "RESOURCE_EXHAUSTED", "metadata size"),
    "09 metadata of 1,000 headers": Row(unary(None, *((f"x-{n}", "a") for n in range(1000))), "RESOURCE_EXHAUSTED"),
    "10 path without a slash": path(INFO[1:]),
    "10 path with two slashes": path("/" + INFO),
    "10 path with an escape": path(INFO.replace("Get", "%47et")),
    "10 path with a query": path(INFO + "?x"),
    "10 path with dots": path(INFO + "/.."),
    "10 path through a parent": path("/a/.." + INFO),
    "10 path in lower case": path(INFO.lower()),
    "10 path of a star": path("*"),
    "11 GET": Row(unary(method="GET"), "reset 2"),
    "11 no te header": Row(unary(te=""), "reset 2"),
    "17 timeout of 0 ns": Row(unary(grpc_timeout="0n"), "DEADLINE_EXCEEDED"),
    "17 no timeout": Row(unary(grpc_timeout=""), "OK"),
    "17 timeout of ten thousand years": Row(unary(grpc_timeout="99999999H"), "OK"),
    "17 timeout of a digit too many": Row(unary(grpc_timeout="99999999999H"), "OK"),
    "19 two authorization headers": Row(
        lambda raw, token: raw.call(call(INFO, ("authorization", f"Bearer {token}"), token=token), message()),
        "UNAUTHENTICATED",
        "exactly one",
    ),
    "19 two authorization headers, the second empty": Row(
        lambda raw, token: raw.call(call(INFO, ("authorization", "Bearer x"), token=token), message()),
        "UNAUTHENTICATED",
        "exactly one",
    ),
}


@pytest.fixture(scope="module")
def server():
    with running() as server:
        # What the first call of a kind costs once belongs to no row.
        with RawConnection(server.endpoint) as raw:
            assert unary()(raw, server.token).outcome == "OK"
        yield server


@pytest.mark.promise("P14", "frames")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_call_that_breaks_the_protocol_gets_its_status_and_costs_little(server, row):
    pid = server.process.pid
    cpu, rss = cpu_s(pid), rss_bytes(pid)
    for _ in range(REPEATS):
        with RawConnection(server.endpoint) as raw:
            reply = row.send(raw, server.token)
            assert reply.outcome == row.outcome
            assert row.says in reply.headers.get("grpc-message", "")
            if row.lives:
                assert unary()(raw, server.token).outcome == "OK"
    assert (cpu_s(pid) - cpu) / REPEATS < 0.1
    assert rss_bytes(pid) - rss < 8 * MIB


@pytest.mark.promise("P14", "frames")
def test_row_11_plain_http_gets_settings_and_a_closed_connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: registry\r\n\r\n")
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := plain.recv(4096):
                found += piece
    # A SETTINGS frame, and nothing that an HTTP/1.1 client could take for an answer.
    assert found[3] == 4
    assert b"HTTP/1" not in found
    still_serves(server)


@pytest.mark.promise("P14", "frames")
def test_row_12_of_two_messages_on_a_unary_call_the_first_has_an_effect(server):
    api = server.api()
    catalogue = Catalogue(api)
    first, second = (
        models_pb2.CreateModelRequest(parent=catalogue.parent, model_id=name).SerializeToString() for name in "ab"
    )
    with RawConnection(server.endpoint) as raw:
        reply = raw.call(call(CREATE, token=server.token), message(first) + message(second))
    assert reply.outcome == "OK"
    listed = api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent))
    assert [each.name.rpartition("/")[2] for each in listed.models] == ["a"]
    api.close()


@pytest.mark.promise("P14", "frames")
def test_row_13_a_call_that_is_never_finished_runs_no_handler_and_dies_with_its_connection():
    with running({"max_connection_age_s": "2", "max_connection_age_grace_s": "1"}) as server:
        with RawConnection(server.endpoint) as raw:
            began = time.monotonic()
            headers = call(INFO, token=server.token, grpc_timeout="")
            streams = [
                raw.open(headers, b"", end=True),
                raw.open(headers, b"\x00\x00", end=False),
                raw.open(headers, end=False),
            ]
            replies = [raw.reply(stream, within_s=10) for stream in streams]
            took_s = time.monotonic() - began
        assert [each.code for each in replies] != ["OK"] * 3
        assert all(each.closed or each.code != "OK" for each in replies)
        # Age give or take a tenth, and the grace.
        assert took_s < 2 * 1.1 + 1 + 2
        assert "GetServerInfo" not in server.log
        still_serves(server)


@pytest.mark.promise("P14", "frames")
def test_row_15_rapid_reset_is_absorbed(server):
    pid = server.process.pid
    with polite_client(server) as polite, RawConnection(server.endpoint) as raw:
        before = cpu_s(pid)
        frames = []
        for _ in range(20_000):
            opened = raw.headers(call(INFO, token=server.token))
            frames.append(opened + raw.reset(raw.last))
        for start in range(0, len(frames), 100):
            raw.send(b"".join(frames[start : start + 100]))
        # Until the last of them is cleared away new ones are refused on this connection, and on this one alone.
        until(lambda: unary()(raw, server.token).outcome == "OK", within_s=10)
        spent_s = cpu_s(pid) - before
    served = polite[0]
    # The polite client's own calls are in it.
    assert spent_s < 1 + served.calls * 0.002
    assert not served.errors
    assert served.p99_ms < 50, served


@pytest.mark.promise("P14", "frames")
def test_row_15_calls_that_reached_their_handler_and_are_reset_leave_nothing_behind(server):
    pid = server.process.pid
    body = message()
    with RawConnection(server.endpoint) as raw:
        for round_ in range(6):
            for _ in range(200):
                stream = raw.open(call(INFO, token=server.token), body)
                raw.send(raw.reset(stream))
            assert unary()(raw, server.token).outcome == "OK"
            if round_ == 1:
                warm = rss_bytes(pid)
        assert rss_bytes(pid) - warm < 8 * MIB


@pytest.mark.promise("P14", "frames")
def test_row_16_a_flood_of_pings_ends_the_connection(server):
    with RawConnection(server.endpoint) as raw:
        for _ in range(20):
            if raw.closed:
                break
            with contextlib.suppress(OSError):
                raw.send(raw.ping())
        deadline = time.monotonic() + 10
        while not raw.closed and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                raw.read(1)
        assert raw.closed
        assert raw.goaway is not None
        assert raw.goaway.additional_data == b"too_many_pings"
    still_serves(server)


@pytest.mark.promise("P14", "polite client")
def test_a_polite_client_is_served_while_every_row_is_sent_again_and_again(server):
    with polite_client(server) as polite:
        ends = time.monotonic() + 6
        rounds = 0
        while rounds <= 2 or time.monotonic() < ends:
            for row in ROWS.values():
                with RawConnection(server.endpoint) as raw:
                    assert row.send(raw, server.token).outcome == row.outcome
            rounds += 1
    served = polite[0]
    assert rounds > 2
    assert served.calls > 100
    assert not served.errors
    assert served.p99_ms <= 50, served


def still_serves(server: RegistryServer) -> None:
    with RawConnection(server.endpoint) as raw:
        assert unary()(raw, server.token).outcome == "OK"
