"""A thousand watchers on one server: how soon each hears of a promotion, and what others feel of it."""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from registry_grpc.client import Registry as Client
from registry_grpc.v1 import events_pb2, events_pb2_grpc
from tests.bench.bystanders import bystanders
from tests.bench.calls import production_model
from tests.bench.harness import rss_mib
from tests.kit.server import RegistryServer

WATCHERS = int(os.environ.get("MREG_BENCH_WATCHERS", "1000"))
PER_CONNECTION = 200
"""A server takes 256 streams of one connection."""
ROUNDS = 10
PAUSE_S = 0.5
SECONDS = 12


class Crowd:
    """Watchers of one model in a loop of their own, noting when each event came."""

    def __init__(self, server: RegistryServer, model: str) -> None:
        """Nothing is open before `start`."""
        self._server, self._model = server, model
        self.came: dict[int, list[float]] = {}
        """Revision to the times at which it came, on the clock of `time.monotonic`."""
        self.ready = threading.Event()
        self._waiting = WATCHERS
        self._ended: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Until `stop`."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """End every watch."""
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            grpc.aio.insecure_channel(self._server.endpoint, options=options)
            for _ in range(-(-WATCHERS // PER_CONNECTION))
        ]
        stubs = [events_pb2_grpc.EventServiceStub(channel) for channel in channels]
        tasks = [asyncio.create_task(self._watch(stubs[at % len(stubs)])) for at in range(WATCHERS)]
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()

    async def _watch(self, stub: events_pb2_grpc.EventServiceAsyncStub) -> None:
        request = events_pb2.WatchRequest(
            parent=self._model, resource_types=["Stage"], stages=["production"], send_initial_state=True
        )
        stream = stub.Watch(request, metadata=(("authorization", f"Bearer {self._server.token}"),))
        async for message in stream:
            now = time.monotonic()
            if message.kind == events_pb2.WatchResponse.KIND_EVENTS:
                self.came.setdefault(message.revision, []).append(now)
            elif message.kind == events_pb2.WatchResponse.KIND_INITIAL_STATE_END:
                self._waiting -= 1
                if not self._waiting:
                    self.ready.set()


def watchers(server: RegistryServer) -> dict[str, float]:
    """A version leaves production and comes back; others call beside it, and before."""
    watched = production_model(server)
    pid = server.process.pid if server.process else 0
    crowd = Crowd(server, watched)
    with (
        bystanders(server) as others,
        ThreadPoolExecutor(2) as pool,
        Client(server.endpoint, token=server.token) as client,
    ):
        alone = others.ask(SECONDS)
        idle = rss_mib(pid)
        running = pool.submit(crowd.run)
        try:
            if not crowd.ready.wait(120):
                raise TimeoutError(f"{WATCHERS} watchers were not there after 120 s")
            held = rss_mib(pid) - idle
            beside = pool.submit(others.ask, SECONDS)
            sent = _moves(client, watched)
            meanwhile = beside.result()
        finally:
            crowd.stop()
        running.result()
    lags = sorted((at - began) * 1000 for revision, began in sent.items() for at in crowd.came.get(revision, ()))
    if len(lags) != WATCHERS * len(sent):
        raise AssertionError(f"{len(lags)} of {WATCHERS * len(sent)} events came")
    return {
        "watch_lag_p50_ms": statistics.median(lags),
        "watch_lag_p99_ms": lags[int(len(lags) * 0.99)],
        "watch_rss_mib": held,
        "watch_resolve_alone_p99_ms": alone.resolve.details["p99_ms"],
        "watch_resolve_p99_ms": meanwhile.resolve.details["p99_ms"],
        "watch_bare_p99_ms": meanwhile.bare.details["p99_ms"],
    }


def _moves(client: Client, name: str) -> dict[int, float]:
    """Revision of each change of production to when it was asked for, on the clock of `time.monotonic`."""
    _, project, _, model = name.split("/")
    reference = f"{project}:{model}"
    version = client.resolve(f"{reference}@production").location
    sent: dict[int, float] = {}
    for _ in range(ROUNDS):
        began = time.monotonic()
        sent[client.vacate(reference, "production").stage.revision] = began
        time.sleep(PAUSE_S)
        client.promote(version, "staging")
        began = time.monotonic()
        sent[client.promote(version, "production").stage.revision] = began
        time.sleep(PAUSE_S)
    return sent
