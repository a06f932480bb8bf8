"""Streams that are open when their caller loses what it came in by, and refusals that must be written down."""

import asyncio

import pytest
from grpc import aio

from registry_grpc.auth.view import AccessView, Snapshot
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Occurrence
from registry_grpc.observability.metrics import Metrics
from registry_grpc.server.interceptors.denials import BATCH, Denials
from registry_grpc.services.context import call_context
from registry_grpc.v1 import artifacts_pb2
from tests.server.edge import BEARER, CODES, READ, UPLOAD, edge, everything_to, info_in

MODEL = "projects/p/models/m"
FIRST = artifacts_pb2.WriteUploadRequest(name="projects/p/uploads/00000000-0000-0000-0000-000000000000")
ARTIFACT = artifacts_pb2.ReadArtifactRequest(name=f"{MODEL}/versions/1/artifacts/{'a' * 26}")


def emptied(view):
    """Take every binding away."""
    view.load(Snapshot(10, (), (), (), ()))


async def endless(request, context):
    """Without a pause it is always in the middle of a reply, which must not be torn."""
    while True:
        yield artifacts_pb2.ReadArtifactResponse(offset=1)


class Upload:
    """Waits for its client, having found out which model it is about."""

    def __init__(self):
        self.began = asyncio.Event()
        self.ended = ""

    async def __call__(self, requests, context):  # noqa: ARG002 - a servicer's signature
        await anext(requests)
        call_context().hold("uploads.write", MODEL)
        self.began.set()
        try:
            await anext(requests, None)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        return artifacts_pb2.Upload()


@pytest.mark.parametrize("way", ["unbound", "revoked", "away"])
async def test_an_open_upload_ends_with_the_reason_or_goes_on_while_nobody_can_be_asked(tmp_path, monkeypatch, way):
    view, upload = everything_to("user:ada"), Upload()
    async with edge(tmp_path, write=upload, access=view) as it:
        authenticator = it.server._desk.authenticator
        call = it.channel.stream_unary(UPLOAD)(metadata=BEARER, timeout=30)
        await call.write(FIRST.SerializeToString())
        await upload.began.wait()
        await it.server._desk.streams.check()
        assert not call.done()

        async def refuse(_):
            reason = Reason.TOKEN_REVOKED if way == "revoked" else Reason.DATABASE_UNAVAILABLE
            raise RegistryError(reason, "no")

        if way == "unbound":
            emptied(view)
        else:
            monkeypatch.setattr(authenticator, "cached", lambda _: None)
            monkeypatch.setattr(authenticator, "authenticate", refuse)
        await it.server._desk.streams.check()

        if way == "away":
            await asyncio.sleep(0.1)
            assert not call.done()
            await call.done_writing()
            await call
            assert upload.ended == ""
            return
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        wanted = {
            "unbound": (CODES.NOT_FOUND, "PROJECT_NOT_FOUND"),
            "revoked": (CODES.UNAUTHENTICATED, "TOKEN_REVOKED"),
        }
        assert (caught.value.code(), info_in(caught.value).reason) == wanted[way]
        assert upload.ended == "cancelled"
        assert await it.handled(UPLOAD, "client_stream", "NotFound" if way == "unbound" else "Unauthenticated") == 1
        assert it.server._desk.streams._open == set()


async def read_to_the_end(call):
    while await call.read() is not aio.EOF:
        pass


async def test_an_open_download_ends_too(tmp_path):
    view = everything_to("user:ada")
    async with edge(tmp_path, read=endless, access=view) as it:
        call = it.channel.unary_stream(READ)(ARTIFACT.SerializeToString(), metadata=BEARER, timeout=30)
        assert await call.read()
        emptied(view)
        await it.server._desk.streams.check()
        with pytest.raises(aio.AioRpcError) as caught:
            await read_to_the_end(call)
        assert info_in(caught.value).reason == "PROJECT_NOT_FOUND"


async def test_nobody_without_a_binding_gets_to_a_servicer(tmp_path):
    async with edge(tmp_path, read=endless, write=Upload(), access=AccessView()) as it:
        calls = [
            it.channel.unary_stream(READ)(ARTIFACT.SerializeToString(), metadata=BEARER, timeout=10),
            it.channel.stream_unary(UPLOAD)(iter([FIRST.SerializeToString()]), metadata=BEARER, timeout=10),
        ]
        for call in calls:
            with pytest.raises(aio.AioRpcError) as caught:
                await (call.read() if hasattr(call, "read") else call)
            assert info_in(caught.value).reason == "PROJECT_NOT_FOUND"


class Trail:
    """Where refusals are written, or not."""

    def __init__(self):
        self.rows, self.is_away = [], False

    async def __call__(self, denials):
        if self.is_away:
            raise RegistryError(Reason.DATABASE_UNAVAILABLE, "away")
        self.rows += denials


async def test_a_refused_change_is_written_down_once_and_a_refused_read_is_not(tmp_path):
    trail = Trail()
    async with edge(tmp_path, read=endless, write=Upload(), access=AccessView(), denied=trail) as it:
        for path, data in ((READ, ARTIFACT), (UPLOAD, FIRST)):
            shape = it.channel.unary_stream if path is READ else it.channel.stream_unary
            sent = data.SerializeToString() if path is READ else iter([data.SerializeToString()])
            call = shape(path)(sent, metadata=(*BEARER, ("x-request-id", "mine")), timeout=10)
            with pytest.raises(aio.AioRpcError):
                await (call.read() if path is READ else call)
        await it.server._desk.denials.flush()
    [row] = trail.rows
    assert row == Occurrence(
        actor="user:ada",
        method="ArtifactService.WriteUpload",
        resource=FIRST.name,
        request_id="mine",
        outcome="PROJECT_NOT_FOUND",
        authentication="token",
        peer=row.peer,
    )
    assert row.peer.startswith("ipv4:127.0.0.1:")


def denial(number):
    return Occurrence(actor="user:ada", method="M.x", resource=str(number), request_id="", outcome="PERMISSION_MISSING")


async def test_more_than_a_second_may_have_and_what_cannot_be_written_is_counted():
    from prometheus_client import CollectorRegistry

    metrics = Metrics(CollectorRegistry(), "x")
    trail = Trail()
    denials = Denials(trail, metrics)

    def dropped():
        return metrics.registry.get_sample_value("registry_audit_denials_dropped_total")

    for number in range(BATCH + 7):
        denials.note(denial(number))
    await denials.flush()
    assert [row.resource for row in trail.rows[:BATCH]] == [str(number) for number in range(BATCH)]
    assert [row.outcome for row in trail.rows[BATCH:]] == ["DROPPED 7"]
    assert dropped() == 7

    trail.is_away, denials._left = True, BATCH
    denials.note(denial(1))
    await denials.flush()
    assert dropped() == 8
    trail.is_away = False
    await denials.flush()
    assert trail.rows[-1].outcome == "DROPPED 1"
    assert len(trail.rows) == BATCH + 2
    await denials.flush()
    assert len(trail.rows) == BATCH + 2
