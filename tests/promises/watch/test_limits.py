"""Row 77 of the hostile inputs: ten thousand watches of one caller."""

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from registry_grpc.v1 import events_pb2, events_pb2_grpc, server_pb2, server_pb2_grpc
from tests.kit.access import Office
from tests.kit.refusals import refusal_of
from tests.kit.server import running

WATCHES, LIMIT, CHANNELS = 10_000, 500, 5
BATCH = 500
POLITE_S = 5.0
"""Nobody waits so long, however slow the machine: a server that is flooded answers nobody."""
NOTHING = events_pb2.WatchRequest(
    parent="projects/default", resource_types=["Alias"], progress_interval=Duration(seconds=5)
)


async def opened(stub, metadata):
    """The call when it is taken: its first message came or it is quiet; else the refusal."""
    call = stub.Watch(NOTHING, metadata=metadata)
    try:
        await call.initial_metadata()
        await call.wait_for_connection()
    except grpc.RpcError as error:
        return refusal_of(error)
    return call


async def flood(endpoint, greedy, polite):
    """(calls that are open, refusals, how long a polite caller waited each time)."""
    metadata, waited, results = [("authorization", f"Bearer {greedy}")], [], []
    channels = [
        grpc.aio.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.id", number)])
        for number in range(CHANNELS)
    ]
    own = grpc.aio.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
    info = server_pb2_grpc.ServerServiceStub(own)
    stubs = [events_pb2_grpc.EventServiceStub(channel) for channel in channels]
    try:
        for begin in range(0, WATCHES, BATCH):
            many = [opened(stubs[number % CHANNELS], metadata) for number in range(begin, begin + BATCH)]
            flooding = asyncio.gather(*many)
            began = asyncio.get_running_loop().time()
            await info.GetServerInfo(
                server_pb2.GetServerInfoRequest(), metadata=[("authorization", f"Bearer {polite}")], timeout=20
            )
            waited.append(asyncio.get_running_loop().time() - began)
            results += await flooding
        calls = [each for each in results if isinstance(each, grpc.aio.Call)]
        # A watch that shows nothing lives: it says how far it is.
        marks = await asyncio.gather(*(asyncio.wait_for(call.read(), 60) for call in calls[:20]))
        calls[0].cancel()
        await asyncio.sleep(1)
        calls.append(await opened(stubs[0], metadata))
        return calls, [each for each in results if not isinstance(each, grpc.aio.Call)], waited, marks
    finally:
        await asyncio.gather(*(channel.close() for channel in (*channels, own)))


@pytest.mark.promise("P14", "many watches")
def test_row_77_ten_thousand_watches_of_one_caller_end_at_his_limit():
    with running({"max_streams_per_principal": str(LIMIT)}) as server:
        office = Office(server)
        who = office.somebody()
        office.bind("viewer", "projects/default", who.principal)
        calls, refusals, waited, marks = asyncio.run(flood(server.endpoint, who.secret, server.token))
        assert len(refusals) == WATCHES - LIMIT
        assert {(each.code, each.reason) for each in refusals} == {("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")}
        assert all(isinstance(call, grpc.aio.Call) for call in calls)  # also the one in the place of one that went
        assert max(waited) < POLITE_S
        assert {mark.kind for mark in marks} == {events_pb2.WatchResponse.KIND_PROGRESS}
