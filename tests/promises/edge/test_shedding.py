"""Memory and a polite client's latency while callers are slow, or never finish what they began. P15."""

import asyncio
import contextlib
import time

import grpc
import pytest
from grpc import aio

from registry_grpc.v1 import artifacts_pb2, artifacts_pb2_grpc
from tests.kit.costs import polite_client, rss_bytes, rss_peak
from tests.kit.frames import RawConnection, call
from tests.kit.server import running
from tests.kit.uploads import Registry, chunk
from tests.kit.waiting import metric, until

MIB = 1 << 20
KIB = 1 << 10
INFO = "/registry_grpc.v1.ServerService/GetServerInfo"

UPLOADS = 200
UPLOADS_CEILING = 64 * MIB
"""What 200 slow uploads may add to the memory of the server: 320 KiB each."""
CONNECTIONS, STREAMS = 100, 100
HALF_SENT_CEILING = 280 * MIB
"""What 10,000 half-sent calls may add: 28 KiB each."""


@pytest.mark.promise("P15", "slow uploads")
def test_200_uploads_of_1_kib_a_second_cost_little_memory_and_nobody_waits_for_them():
    with running({"max_uploads": str(UPLOADS + 1)}) as server:
        registry = Registry.of(server)
        version = registry.draft()
        names = [registry.start(version, f"part-{number}", MIB).name for number in range(UPLOADS)]
        pid = server.process.pid
        with polite_client(server) as polite:
            before = rss_bytes(pid)
            with rss_peak(pid) as peak:
                sent = asyncio.run(trickle(server, names, for_s=6))
        served = polite[0]
        assert min(sent) >= 4
        assert peak[0] - before < UPLOADS_CEILING, (peak[0] - before) / MIB
        assert not served.errors
        assert served.calls > 100
        assert served.p99_ms <= 50, served
        # They were cut, and none became a file.
        until(lambda: metric(server.metrics_port, "registry_uploads_in_progress") == 0, within_s=10)
        listed = registry.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=version))
        assert not listed.artifacts
        registry.api.close()


async def trickle(server, names, for_s) -> list[int]:
    """Write 1 KiB a second to each upload, all at once, then cut them; how many pieces each sent."""
    sent = [0] * len(names)
    ends = time.monotonic() + for_s
    metadata = (("authorization", f"Bearer {server.token}"),)

    async def messages(number):
        # Not in step with each other, as 200 machines would not be.
        await asyncio.sleep(number / len(names))
        while time.monotonic() < ends:
            yield artifacts_pb2.WriteUploadRequest(
                name=names[number], write_offset=sent[number] * KIB, chunk=chunk(bytes(KIB))
            )
            sent[number] += 1
            await asyncio.sleep(1)
        await asyncio.sleep(60)

    async with contextlib.AsyncExitStack() as stack:
        # As from twenty machines: a connection carries a limited number of streams.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(aio.insecure_channel(server.endpoint, options=options)) for _ in range(20)
        ]
        stubs = [artifacts_pb2_grpc.ArtifactServiceStub(channel) for channel in channels]
        calls = [
            stubs[number % len(stubs)].WriteUpload(messages(number), metadata=metadata) for number in range(len(names))
        ]
        await asyncio.sleep(for_s)
        assert not [each for each in calls if each.done()]
        for each in calls:
            each.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError | grpc.RpcError)
    return sent


@pytest.mark.promise("P15", "half-sent")
@pytest.mark.promise("P14", "frames")
def test_10_000_half_sent_calls_cost_little_and_are_gone_with_the_age_of_their_connections():
    with running({"max_connection_age_s": "12", "max_connection_age_grace_s": "1"}) as server:
        pid = server.process.pid
        with polite_client(server) as polite, contextlib.ExitStack() as stack:
            before = rss_bytes(pid)
            with rss_peak(pid) as peak:
                connections = [stack.enter_context(RawConnection(server.endpoint)) for _ in range(CONNECTIONS)]
                for raw in connections:
                    opened = [raw.headers(call(INFO, token=server.token, grpc_timeout="")) for _ in range(STREAMS)]
                    streams = range(1, 2 * STREAMS, 2)
                    raw.send(
                        b"".join(
                            frames + raw.data(stream, b"\x00\x00", end=False)
                            for frames, stream in zip(opened, streams, strict=True)
                        )
                    )
                opened_at = time.monotonic()
                # None of them is refused: they are open until the server ends them.
                for raw in connections:
                    with contextlib.suppress(TimeoutError):
                        raw.read(0.02)
                assert sum(raw.ended for raw in connections) == 0
                for raw in connections:
                    with contextlib.suppress(TimeoutError):
                        while not raw.closed:
                            raw.read(max(0.001, opened_at + 30 - time.monotonic()))
            assert all(raw.closed for raw in connections)
            took_s = time.monotonic() - opened_at
        served = polite[0]
    assert 5 < took_s < 12 * 1.1 + 1 + 5
    assert peak[0] - before < HALF_SENT_CEILING, (peak[0] - before) / MIB
    assert not served.errors
    assert served.p99_ms <= 50, served
