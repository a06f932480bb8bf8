"""The end of a server process: what runs is finished, what was written stays, one process owns a data directory."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from registry_grpc.v1 import artifacts_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import Refusal, attempt
from tests.kit.server import PROGRAM, running
from tests.kit.waiting import until


@pytest.fixture(params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


def test_sigterm_finishes_what_runs_and_a_second_start_has_everything(server):
    server.stop()
    server.failpoints = "upload.u0.before=sleep(5)@2"
    server.start()
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    # A call that takes five seconds inside the server, and writers that go on until they are refused.
    slow = artifacts_pb2.StartUploadRequest(parent=catalogue.draft(model).name, path="slow.bin", size_bytes=1)
    waiting = api.artifacts.StartUpload.future(slow)
    until(lambda: server.fired["upload.u0.before"], within_s=20)
    acknowledged, refusals = [], []

    def write():
        while True:
            result = attempt(catalogue.draft, model)
            if isinstance(result, Refusal):
                refusals.append(result)
                return
            acknowledged.append(result.number)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(acknowledged) > 20, within_s=20)
    assert not waiting.done()
    began = time.monotonic()
    code = server.stop(timeout_s=30)
    assert code == 0, server.log[-2000:]
    assert time.monotonic() - began < 25
    for writer in writers:
        writer.join()
    # It was not cut: it got the answer it would have got.
    upload = waiting.result()
    # A call that comes in the very moment of the stop is refused by grpc itself, as CANCELLED.
    assert {each.code for each in refusals} <= {"UNAVAILABLE", "CANCELLED"}
    api.close()

    server.failpoints = ""
    server.start()
    api = server.api()
    again = catalogue.on(api)
    assert api.artifacts.GetUpload(artifacts_pb2.GetUploadRequest(name=upload.name)).name == upload.name
    assert again.resolve(model, stage="production").version == one.name
    drafts = sum(1 for _ in acknowledged)
    assert len(set(acknowledged)) == drafts
    found = {v.number for v in again.versions(model, page_size=1000)}
    assert set(acknowledged) <= found
    assert again.draft(model).number == max(found) + 1
    assert '"level": "error"' not in server.log
    api.close()


def test_a_killed_server_has_lost_nothing_it_acknowledged(server):
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    acknowledged = []

    def write():
        while not isinstance(result := attempt(catalogue.draft, model), Refusal):
            acknowledged.append(result.number)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(acknowledged) > 20, within_s=20)
    server.kill()
    for writer in writers:
        writer.join()
    api.close()
    server.start()
    api = server.api()
    found = [v.number for v in catalogue.on(api).versions(model, page_size=1000)]
    assert set(acknowledged) <= set(found)
    assert sorted(found) == list(range(1, len(found) + 1))
    api.close()


def test_a_second_server_on_the_same_data_directory_is_refused_with_what_to_do():
    with running() as server:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"MREG_DATA_DIR": str(server.data_dir), "MREG_LISTEN": "127.0.0.1:0", "MREG_METRICS_LISTEN": "off"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode != 0
        assert not ran.stdout
        assert "is open in another process; stop it, or use PostgreSQL to run several" in ran.stderr
        # The first one is none the worse.
        api = server.api()
        assert Catalogue(api).model()
        api.close()


def test_a_second_signal_ends_a_server_that_drains_at_once():
    with running({"drain_s": "20"}, failpoints="upload.u0.before=sleep(15)") as server:
        api = server.api()
        catalogue = Catalogue(api)
        draft = catalogue.draft(catalogue.model())
        slow = artifacts_pb2.StartUploadRequest(parent=draft.name, path="slow.bin", size_bytes=1)
        waiting = api.artifacts.StartUpload.future(slow)
        until(lambda: server.fired["upload.u0.before"], within_s=10)
        server.signal(signal.SIGTERM)
        until(lambda: any(json.loads(line).get("event") == "stopping" for line in log_lines(server)), within_s=5)
        server.signal(signal.SIGTERM)
        assert server.process.wait(2) == 128 + signal.SIGTERM
        waiting.exception()
        api.close()


def log_lines(server):
    return [line for line in server.log.splitlines() if line.startswith("{")]
