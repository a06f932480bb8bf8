"""Each shape of call with each way to end: what the client sees, and what the counters say."""

import asyncio
import contextlib
import gc

import grpc
import pytest
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.server.interceptors.calls import Call
from registry_grpc.v1 import artifacts_pb2, server_pb2
from tests.server.edge import BEARER, BIDI, CODES, READ, UNARY, UPLOAD, edge, info_in

NAME = "projects/p/models/m/versions/1/artifacts/" + "a" * 26
UPLOAD_NAME = "projects/p/uploads/00000000-0000-0000-0000-000000000000"
SECRET = "dsn=postgres://u:pw@host/db"
SHAPES = {
    "unary": (UNARY, server_pb2.GetServerInfoRequest()),
    "client_stream": (UPLOAD, artifacts_pb2.WriteUploadRequest(name=UPLOAD_NAME)),
    "server_stream": (READ, artifacts_pb2.ReadArtifactRequest(name=NAME)),
    "bidi_stream": (BIDI, reflection_pb2.ServerReflectionRequest()),
}
ENDINGS = {
    "ok": ("OK", CODES.OK),
    "known": ("NotFound", CODES.NOT_FOUND),
    "defect": ("Internal", CODES.INTERNAL),
    "cancel": ("Cancelled", CODES.CANCELLED),
    "deadline": ("DeadlineExceeded", CODES.DEADLINE_EXCEEDED),
}


async def end(how):
    if how == "known":
        raise RegistryError(Reason.MODEL_NOT_FOUND, "no model", resource="projects/p/models/m")
    if how == "defect":
        raise ValueError(SECRET)
    if how in {"cancel", "deadline"}:
        await asyncio.sleep(30)


def behaviours(how):
    async def unary(request, context):
        await end(how)
        return server_pb2.ServerInfo()

    async def write(requests, context):
        async for _ in requests:
            await end(how)
        return artifacts_pb2.Upload()

    async def read(request, context):
        yield artifacts_pb2.ReadArtifactResponse(offset=1)
        await end(how)

    async def talk(requests, context):
        async for _ in requests:
            yield reflection_pb2.ServerReflectionResponse()
            await end(how)

    return {"unary": unary, "write": write, "read": read, "talk": talk}


def start(channel, kind, path, message, timeout):
    data = message.SerializeToString()
    kwargs = {"metadata": BEARER, "timeout": timeout}

    async def one():
        yield data

    if kind == "unary":
        return channel.unary_unary(path)(data, **kwargs)
    if kind == "client_stream":
        return channel.stream_unary(path)(one(), **kwargs)
    if kind == "server_stream":
        return channel.unary_stream(path)(data, **kwargs)
    return channel.stream_stream(path)(one(), **kwargs)


async def finish(call, kind):
    if kind in {"unary", "client_stream"}:
        await call
        return
    async for _ in call:
        pass


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("kind", SHAPES)
async def test_every_shape_reports_every_outcome(tmp_path, kind, how):
    path, message = SHAPES[kind]
    name, code = ENDINGS[how]
    async with edge(tmp_path, **behaviours(how)) as it:
        call = start(it.channel, kind, path, message, 0.3 if how == "deadline" else 20)
        if how == "cancel":
            asyncio.get_running_loop().call_later(0.3, call.cancel)
        if how == "ok":
            await finish(call, kind)
        elif how == "cancel":
            with pytest.raises(asyncio.CancelledError):
                await finish(call, kind)
        else:
            with pytest.raises(aio.AioRpcError) as caught:
                await finish(call, kind)
            assert caught.value.code() is code
            assert SECRET not in str(caught.value)
        assert await it.handled(path, kind, name) == 1
        in_flight = it.server.metrics.registry.get_sample_value("registry_grpc_in_flight", {"grpc_type": kind})
        assert in_flight == 0


async def test_a_known_error_carries_its_reason_and_a_defect_only_its_id(tmp_path):
    async with edge(tmp_path, **behaviours("known")) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY)
        info = info_in(caught.value)
        assert (info.domain, info.reason) == ("registry-grpc", "MODEL_NOT_FOUND")
        assert dict(info.metadata) == {"resource": "projects/p/models/m"}
    async with edge(tmp_path, **behaviours("defect")) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY, metadata=(*BEARER, ("x-request-id", "abc-1")))
        assert caught.value.details() == "internal error; report request id abc-1"
        assert dict(caught.value.trailing_metadata())["x-request-id"] == "abc-1"


async def test_a_refused_call_leaves_nothing_for_the_collector(tmp_path):
    async with edge(tmp_path, **behaviours("known")) as it:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                with contextlib.suppress(aio.AioRpcError):
                    await it.raw(UNARY)
            await asyncio.sleep(0.05)
            left = [each for each in gc.get_objects() if isinstance(each, Call | RegistryError)]
        finally:
            gc.enable()
        # grpc's own frames of the last ones may still be on their way out.
        assert len(left) < 4


async def test_a_reply_that_cannot_be_encoded_is_internal(tmp_path):
    async def unary(request, context):
        return object()

    async with edge(tmp_path, unary=unary) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY)
        assert info_in(caught.value).reason == "INTERNAL"


async def test_a_server_without_a_callers_deadline_sets_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("registry_grpc.server.interceptors.calls.DEFAULT_UNARY_S", 0.2)
    async with edge(tmp_path, **behaviours("deadline")) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY)
        assert caught.value.code() is CODES.DEADLINE_EXCEEDED
        assert await it.handled(UNARY, "unary", "DeadlineExceeded") == 1


async def test_replies_carry_the_revision_the_servicer_set(tmp_path):
    from registry_grpc.services.context import call_context

    async def unary(request, context):
        call = call_context()
        assert call.principal.name == "user:ada"
        assert call.method == "ServerService.GetServerInfo"
        assert call.min_revision == 7
        call.revision = 41
        return server_pb2.ServerInfo().SerializeToString()

    async with edge(tmp_path, unary=unary) as it:
        call = it.channel.unary_unary(UNARY)(b"", metadata=(*BEARER, ("x-registry-min-revision", "7")))
        assert await call == b""
        assert dict(await call.trailing_metadata())["x-registry-revision"] == "41"


async def test_a_full_server_refuses_and_recovers(tmp_path):
    gate = asyncio.Event()

    async def unary(request, context):
        await gate.wait()
        return server_pb2.ServerInfo()

    async with edge(tmp_path, unary=unary, max_in_flight=1) as it:
        first = asyncio.ensure_future(it.raw(UNARY))
        await asyncio.sleep(0.2)
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY)
        assert caught.value.code() is CODES.RESOURCE_EXHAUSTED
        assert info_in(caught.value).reason == "RATE_LIMITED"
        gate.set()
        await first
        await it.raw(UNARY)


async def test_an_unparseable_message_of_a_stream_ends_it_as_malformed(tmp_path):
    async with edge(tmp_path, **behaviours("ok")) as it:

        async def bad():
            yield b"\xff\xff\xff"

        with pytest.raises(aio.AioRpcError) as caught:
            await it.channel.stream_unary(UPLOAD)(bad(), metadata=BEARER)
        assert info_in(caught.value).reason == "MALFORMED_REQUEST"
        assert isinstance(caught.value.code(), grpc.StatusCode)
