"""P01: what was acknowledged survives SIGKILL of the server at every step of a write, and of the database."""

import os
import random
import time

import pytest

from registry_grpc import failpoints
from registry_grpc.v1 import models_pb2
from tests.kit import engines
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.history import APPLIED, UNKNOWN
from tests.kit.server import distributed, running
from tests.kit.waiting import until
from tests.promises.writes.load import Load, check, database_of

ROUNDS = int(os.environ.get("MREG_PROOF_ROUNDS", "1"))
"""How often each proof repeats itself; CI has time for once."""
STEPS = sorted(name for name in failpoints.NAMES if name.startswith("write."))


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    # Seconds of waiting for balancers mean nothing here.
    with deployed(request.param, request.getfixturevalue("service_environment"), drain_wait_s="0") as server:
        yield server


@pytest.mark.promise("P01", "failpoints")
@pytest.mark.timeout(60 + 120 * ROUNDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_server_killed_within_a_write_loses_nothing_acknowledged_and_keeps_no_half(server, step):
    load = Load()
    # At this step somebody's change was committed and never answered, unless the kill met a change of the server's own.
    met = step != "write.commit.after"
    for round_ in range(8 * ROUNDS):
        if met and round_ >= 2 * ROUNDS:
            break
        server.kill()
        before = server.fired[step]
        # The lease is taken by a transaction too, and some writes shall have come through before the end.
        server.failpoints = f"{step}=kill@{random.Random(step + str(round_)).randint(6, 25)}"
        server.start()
        load.start(server)
        assert server.process.wait(30) < 0
        load.stop()
        server.kill()  # closes what the dead process left open
        assert server.fired[step] == before + 1
        server.failpoints = ""
        server.start()
        there = check(database_of(server), load)
        unknown = load.settle(server)
        assert unknown
        met = met or bool(there & {write.request_id for write in unknown})
    assert met
    everything = {write.request_id for write in load.history.writes}
    assert everything <= check(database_of(server), load)
    acknowledged = [write for write in load.history.writes if write.outcome == APPLIED]
    assert len(acknowledged) > 5 * ROUNDS
    api = server.api()
    last = models_pb2.GetModelRequest(name=f"projects/default/models/m{acknowledged[-1].request_id}")
    assert api.models.GetModel(last).revision == acknowledged[-1].revision
    api.close()


@pytest.mark.promise("P01", "database killed")
@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_postgresql_killed_while_clients_write_loses_nothing_acknowledged(minio_bucket):
    with (
        engines.private_postgres() as postgres,
        engines.fresh_database(postgres.url) as url,
        running(distributed(url, minio_bucket)) as server,
    ):
        load = Load(clients=8)
        for _ in range(3 * ROUNDS):
            known = len(load.history.writes)
            load.start(server)
            until(lambda known=known: len(load.history.writes) > known + 100, within_s=30)
            postgres.kill()
            until(lambda: load.history.writes[-1].outcome == UNKNOWN, within_s=10)
            load.stop()
            postgres.start()
            api = server.api()
            began = time.monotonic()
            until(lambda api=api: _creates(api), within_s=10)
            assert time.monotonic() - began < 10
            api.close()
            check(url, load)
            load.settle(server)
        assert {write.request_id for write in load.history.writes} == check(url, load)
        assert server.process.poll() is None
        assert len([write for write in load.history.writes if write.outcome == APPLIED]) > 100


def _creates(api):
    import grpc

    try:
        api.models.ListModels(models_pb2.ListModelsRequest(parent="projects/default", page_size=1), timeout=2)
    except grpc.RpcError:
        return False
    return True
