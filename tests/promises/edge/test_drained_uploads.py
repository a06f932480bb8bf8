"""Uploads under way when the server gets SIGTERM: those that can end do, the others are told where to go on. P16."""

import signal
import time
from itertools import chain

import grpc
import pytest

from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.refusals import refusal_of
from tests.kit.uploads import DEPLOYMENTS, MIB, PART, Content, Held, Registry, deployed, part_of_stream, stream
from tests.kit.waiting import until

DRAIN_S = 3.0


@pytest.mark.promise("P16", "uploads")
@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_an_upload_the_server_cannot_wait_for_ends_unavailable_with_its_persisted_size(kind, service_environment):
    with deployed(kind, service_environment, drain_s=str(DRAIN_S)) as server:
        registry, content, quick = Registry.of(server), Content(2 * PART), Content(3 * MIB)
        version = registry.draft()
        cut = registry.start(version, "cut.bin", content.size_bytes).name
        ends = registry.start(version, "ends.bin", quick.size_bytes).name
        # One part and a bit, then nothing, though the client is there.
        stays = Held([*part_of_stream(cut, content, 0, PART + MIB)])
        first, *rest = stream(ends, quick)
        slow = Held([first])
        cut_call, slow_call = registry.writing(stays), registry.writing(chain(slow, rest))
        until(lambda: registry.upload(cut).persisted_size == PART, within_s=10)

        server.signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: '"stopping"' in server.log, within_s=5)
        assert not cut_call.done(), "it had its share of the time to drain"
        slow.let_go()
        assert slow_call.result(timeout=10).state == pb.Upload.STATE_COMMITTED
        error = cut_call.exception(timeout=10)
        assert isinstance(error, grpc.RpcError)
        seen = refusal_of(error)
        assert (seen.code, seen.reason) == ("UNAVAILABLE", "DRAINING")
        assert seen.facts == {"persistedSize": str(PART)}
        assert seen.retry_s > 0
        assert server.process.wait(10) == 0
        server.stop()
        assert time.monotonic() - began < DRAIN_S + 5
        stays.let_go()
        registry.api.close()
        [line] = [line for line in server.log.splitlines() if '"reason":"DRAINING"' in line]
        assert '"code":"Unavailable"' in line

        server.start()
        again = Registry.of(server)
        assert again.upload(cut).persisted_size == PART
        done = again.write(stream(cut, content, PART))
        assert done.state == pb.Upload.STATE_COMMITTED
        assert again.read(done.artifact.name) == content.whole
        again.api.close()
