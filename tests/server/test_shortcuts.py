"""Calls repeated word for word: answered by the shortcut, and by nothing else as soon as anything differs."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from functools import partial

import grpc
import pytest
from grpc import aio

from registry_grpc.auth import authenticator
from registry_grpc.server.interceptors import repeats
from registry_grpc.v1 import server_pb2
from tests.server.edge import BEARER, CODES, NOW, TEXT, UNARY, edge, everything_to, token

SHORT = server_pb2.ServerInfo(server_version="short").SerializeToString()
LONG = server_pb2.ServerInfo(server_version="long").SerializeToString()


@dataclass
class Shortcut:
    """Answers while it `knows`."""

    knows: bool = True

    def __call__(self, _request, _principal):
        return lambda gate: (SHORT, 41) if self.knows and (gate is None or gate()) else None


async def answer_long(request, context):
    return server_pb2.ServerInfo(server_version="long")


def edge_with(directory, shortcut, **settings):
    return edge(directory, unary=answer_long, shortcuts={UNARY: shortcut}, **settings)


async def twice(it, data=b""):
    """What comes twice is kept, of a caller who is known."""
    for _ in range(2):
        assert await it.raw(UNARY, data, timeout=5) == LONG


async def repeat(it):
    """The first call makes the caller known."""
    assert await it.raw(UNARY, timeout=5) == LONG
    await twice(it)


async def test_the_fourth_of_equal_calls_takes_the_shortcut_and_counts_and_is_logged_as_any_call(tmp_path, capfd):
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        call = it.channel.unary_unary(UNARY)(b"", metadata=BEARER, timeout=5)
        assert await call == SHORT
        assert dict(await call.trailing_metadata())["x-registry-revision"] == "41"
        it.server._recorder.flush()
        assert await it.handled(UNARY, "unary", "OK") == 4
        value = it.server.metrics.registry.get_sample_value
        labels = {"grpc_type": "unary", "grpc_service": "registry_grpc.v1.ServerService"}
        labels["grpc_method"] = "GetServerInfo"
        for name in ("started_total", "msg_received_total", "msg_sent_total", "handling_seconds_count"):
            assert value(f"grpc_server_{name}", labels) == 4, name
    lines = [line for line in capfd.readouterr().err.splitlines() if "ServerService.GetServerInfo" in line]
    assert len(lines) == 4
    assert all("user:ada" in line for line in lines)


@pytest.mark.parametrize("header", [("x-registry-min-revision", "7"), ("x-request-id", "mine")])
async def test_a_call_with_other_headers_goes_the_ordinary_way(tmp_path, header):
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        for _ in range(4):
            assert await it.raw(UNARY, metadata=(*BEARER, header), timeout=5) == LONG


async def test_another_question_of_the_same_caller_must_come_twice_itself(tmp_path):
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        assert [await it.raw(UNARY, b"\x9a\x06\x01x", timeout=5) for _ in range(3)] == [LONG, LONG, SHORT]


@pytest.mark.parametrize("seconds", [None, 120])
async def test_whatever_time_a_caller_leaves_it_is_answered_at_once(tmp_path, seconds):
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        assert await it.raw(UNARY, timeout=seconds) == SHORT


async def test_an_answer_that_takes_waiting_goes_the_ordinary_way(tmp_path):
    shortcut = Shortcut()
    async with edge_with(tmp_path, shortcut) as it:
        await repeat(it)
        shortcut.knows = False
        assert await it.raw(UNARY, timeout=5) == LONG
        shortcut.knows = True
        assert await it.raw(UNARY, timeout=5) == SHORT


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer nonsense"),), (*BEARER, *BEARER)])
async def test_nobody_takes_the_shortcut_of_another(tmp_path, metadata):
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        assert await it.raw(UNARY, timeout=5) == SHORT
        for _ in range(2):
            with pytest.raises(aio.AioRpcError) as caught:
                await it.raw(UNARY, metadata=metadata, timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_revoked_token_loses_its_shortcut_when_it_must_be_proven_again(tmp_path, monkeypatch):
    monkeypatch.setattr(authenticator, "CACHE_TTL_S", 0.2)
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        assert await it.raw(UNARY, timeout=5) == SHORT
        it.tokens[TEXT.id] = replace(token(), revoke_time=NOW)
        await asyncio.sleep(0.3)
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY, timeout=5)
        assert caught.value.code() is CODES.UNAUTHENTICATED


async def test_what_is_kept_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(repeats, "KEPT", 2)
    async with edge_with(tmp_path, Shortcut()) as it:
        requests = [b"", b"\x9a\x06\x01x", b"\x9a\x06\x01y"]
        await repeat(it)
        for data in requests[1:]:
            await twice(it, data)
        assert await it.raw(UNARY, requests[2], timeout=5) == SHORT
        assert await it.raw(UNARY, requests[0], timeout=5) == LONG, "the last one dropped what was kept"


async def test_callers_who_are_kept_are_bounded_too(tmp_path, monkeypatch):
    monkeypatch.setattr(repeats, "KEPT", 2)
    async with edge_with(tmp_path, Shortcut()) as it, contextlib.AsyncExitStack() as stack:
        target = f"127.0.0.1:{it.server.ports[0]}"
        calls = []
        for name in "abc":
            options = [("grpc.primary_user_agent", name)]
            channel = await stack.enter_async_context(aio.insecure_channel(target, options=options))
            calls.append(partial(channel.unary_unary(UNARY), b"", metadata=BEARER, timeout=5))
            for _ in range(3):
                await calls[-1]()
            assert await calls[-1]() == SHORT
        assert await calls[2]() == SHORT
        assert await calls[0]() == LONG, "the last one dropped who was kept"


async def test_what_comes_once_drives_out_nothing_that_is_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(repeats, "KEPT", 2)
    async with edge_with(tmp_path, Shortcut()) as it:
        await repeat(it)
        for at in range(10):
            assert await it.raw(UNARY, b"\x9a\x06\x01%d" % at, timeout=5) == LONG
        assert await it.raw(UNARY, timeout=5) == SHORT


async def test_a_shortcut_ends_when_what_callers_may_do_changes(tmp_path):
    view = everything_to("user:ada")
    async with edge_with(tmp_path, Shortcut(), access=view) as it:
        await repeat(it)
        assert await it.raw(UNARY, timeout=5) == SHORT
        view.version += 1
        assert await it.raw(UNARY, timeout=5) == LONG
        assert await it.raw(UNARY, timeout=5) == SHORT
