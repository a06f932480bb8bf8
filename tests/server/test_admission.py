"""Admission after authentication: one principal cannot take all the room there is."""

import asyncio

import pytest
from google.rpc import error_details_pb2
from grpc import aio

from registry_grpc.domain.identity import token_text
from registry_grpc.v1 import server_pb2
from tests.server.edge import BEARER, CODES, UNARY, edge, info_in, status_in, token

OTHER = token_text(b"\x07" * 9, b"\x08" * 32)
OTHERS = (("authorization", f"Bearer {OTHER}"),)


async def test_a_principal_with_too_many_calls_open_is_refused_and_others_are_not(tmp_path):
    gate, entered = asyncio.Event(), asyncio.Semaphore(0)

    async def unary(request, context):
        entered.release()
        await gate.wait()
        return server_pb2.ServerInfo()

    async with edge(tmp_path, unary=unary, max_in_flight_per_principal=2) as it:
        it.tokens[OTHER.id] = token(id=OTHER.id, secret_hash=OTHER.hash(), principal="user:bob")
        open_calls = [asyncio.ensure_future(it.raw(UNARY)) for _ in range(2)]
        for _ in open_calls:
            await entered.acquire()
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY)
        assert caught.value.code() is CODES.RESOURCE_EXHAUSTED
        assert info_in(caught.value).reason == "RATE_LIMITED"
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status_in(caught.value).details)
        assert retry.retry_delay.seconds == 1
        others = asyncio.ensure_future(it.raw(UNARY, metadata=OTHERS))
        await entered.acquire()
        gate.set()
        await asyncio.gather(*open_calls, others)
        # What ended, or was refused, takes no room any more.
        for _ in range(5):
            await asyncio.gather(it.raw(UNARY), it.raw(UNARY))
        assert it.server._desk._held == {}


async def test_a_call_that_is_cancelled_leaves_its_room(tmp_path):
    entered = asyncio.Event()

    async def unary(request, context):
        entered.set()
        await asyncio.sleep(60)

    async with edge(tmp_path, unary=unary, max_in_flight_per_principal=1) as it:
        for _ in range(3):
            entered.clear()
            call = it.channel.unary_unary(UNARY)(b"", metadata=BEARER)
            await entered.wait()
            call.cancel()
            async with asyncio.timeout(5):
                while it.server._desk._held:  # noqa: ASYNC110 -- the server has nothing to tell it by
                    await asyncio.sleep(0.01)
