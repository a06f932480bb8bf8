"""Listeners, health, TLS and the end of a server."""

import asyncio
import contextlib
import gc
import os
import secrets
import subprocess
import sys
import threading
import weakref

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from registry_grpc.client import Registry
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import token_text
from registry_grpc.server.listeners import BindError
from registry_grpc.server.pools import Pool
from registry_grpc.v1 import server_pb2, server_pb2_grpc
from tests.kit.server import running
from tests.server.edge import BEARER, CODES, UNARY, edge

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_a_taken_port_is_an_error_and_not_shared(tmp_path):
    async with edge(tmp_path) as it:
        with pytest.raises(BindError, match="another server"):
            async with edge(tmp_path, listen=(it.address,)):
                pass


async def test_readiness_follows_the_probes_and_liveness_does_not(tmp_path):
    broken = False

    async def probe():
        if broken:
            raise OSError("gone")

    async with edge(tmp_path, probes={"database": probe}) as it:
        watch = health_pb2_grpc.HealthStub(it.channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        broken = True
        assert (await watch.read()).status == NOT_SERVING
        assert await status(it.channel, "registry_grpc.v1") == NOT_SERVING
        assert await status(it.channel, "registry_grpc.v1.ServerService") == NOT_SERVING
        assert await status(it.channel, "liveness") == SERVING
        with pytest.raises(aio.AioRpcError) as caught:
            await status(it.channel, "nonsense")
        assert caught.value.code() is CODES.NOT_FOUND
        watch.cancel()


async def test_a_health_listener_has_nothing_but_health(tmp_path):
    async with edge(tmp_path, health_listen="127.0.0.1:0") as it:
        channel = aio.insecure_channel(f"127.0.0.1:{it.server.ports[1]}")
        assert await status(channel) == SERVING
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(UNARY)(b"", metadata=BEARER)
        assert caught.value.code() is CODES.UNIMPLEMENTED
        await channel.close()


async def test_a_call_that_runs_at_the_end_is_let_finish(tmp_path):
    entered = asyncio.Event()

    async def slow(request, context):
        entered.set()
        await asyncio.sleep(0.4)
        return server_pb2.ServerInfo(server_version="done")

    async with edge(tmp_path, unary=slow, drain_s=5) as it:
        call = asyncio.ensure_future(it.raw(UNARY))
        await entered.wait()
        stopping = asyncio.ensure_future(it.server.stop())
        assert server_pb2.ServerInfo.FromString(await call).server_version == "done"
        await stopping
        assert not it.server.health.ready


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-keyout", key, "-out", cert, "-days", "2", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


async def call_tls(port, cert, key=None):
    pair = (key.read_bytes(), cert.read_bytes()) if key else (None, None)
    credentials = grpc.ssl_channel_credentials(cert.read_bytes(), *pair)
    async with aio.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = server_pb2_grpc.ServerServiceStub(channel)
        request = server_pb2.GetServerInfoRequest()
        return (await stub.GetServerInfo(request, metadata=BEARER, timeout=10)).server_version


async def test_tls_listeners_serve_and_mtls_ones_ask_for_a_certificate(tmp_path, certificate):
    cert, key = certificate
    tls = {"tls_cert": cert, "tls_key": key, "tls_client_ca": cert}
    listen = ("tls://127.0.0.1:0", "mtls://127.0.0.1:0")
    async with edge(tmp_path, listen=listen, **tls) as it:
        secure, mutual = it.server.ports
        assert await call_tls(secure, cert) == "test"
        assert await call_tls(mutual, cert, key) == "test"
        with pytest.raises(aio.AioRpcError) as caught:
            await call_tls(mutual, cert)
        assert caught.value.code() is CODES.UNAVAILABLE


async def test_a_pool_refuses_more_than_it_can_hold():
    pool, gate = Pool("t", 1, max_waiting=1), threading.Event()
    try:
        waiting = [asyncio.ensure_future(pool.run(gate.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Exception, match="too much waiting"):
            await pool.run(int)
        gate.set()
        assert await asyncio.gather(*waiting) == [True, True]
        await asyncio.sleep(0.05)
        assert pool.open == 0
        assert await pool.run(int, "ff", base=16) == 255
    finally:
        pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the batch class is of Linux")
async def test_threads_in_the_background_interrupt_nobody_and_work_where_a_sandbox_forbids_it(monkeypatch):
    async def kind(*, in_background):
        pool = Pool("t", 1, in_background=in_background)
        try:
            return await pool.run(os.sched_getscheduler, 0)
        finally:
            pool.close()

    def forbidden(*_):
        raise PermissionError

    assert await kind(in_background=False) == os.SCHED_OTHER
    assert await kind(in_background=True) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    assert await kind(in_background=True) == os.SCHED_OTHER


async def test_who_waits_too_long_for_a_thread_is_told_to_come_back_and_his_work_is_not_done():
    pool, gate, done = Pool("t", 1, max_wait_s=0.1), threading.Event(), []
    try:
        running = asyncio.ensure_future(pool.run(gate.wait, 5))
        await asyncio.sleep(0)
        with pytest.raises(RegistryError, match=r"no thread came free in 0\.1 s") as caught:
            await pool.run(done.append, 1)
        assert (caught.value.reason, caught.value.retry_after_s) == (Reason.DATABASE_UNAVAILABLE, 1)
        # A caller who leaves by himself is no other's failure.
        waiting = asyncio.ensure_future(pool.run(done.append, 2))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        # What runs already is waited for, however long it takes.
        assert await running
        await pool.run(done.append, 3)
        assert done == [3]
        assert pool.open == 0
    finally:
        pool.close()


async def test_an_error_of_a_pool_is_gone_when_it_was_handled():
    class MishapError(Exception):
        pass

    def fail():
        raise mishaps.pop()

    pool, mishaps = Pool("t", 1, max_wait_s=60), [MishapError(), MishapError()]
    known = [weakref.ref(each) for each in mishaps]
    gc.disable()  # it would tidy what must not be there
    try:
        waits = [asyncio.ensure_future(pool.run(fail)) for _ in known]  # the second one for a thread
        for wait in waits:
            with contextlib.suppress(MishapError):
                await wait
        del wait, waits
        pool.close()
        await asyncio.sleep(0)
        assert [each() for each in known] == [None, None]
    finally:
        gc.enable()


def test_the_first_token_may_come_from_a_file(tmp_path):
    given = tmp_path / "token"
    given.write_text(f"{token_text(secrets.token_bytes(9), secrets.token_bytes(32))}\n")
    with running({"admin_token_file": str(given)}) as server:
        assert not (server.data_dir / "admin.token").exists()
        with Registry(server.endpoint, token=given.read_text().strip()) as registry:
            assert registry.create_model("fraud").name == "projects/default/models/fraud"
