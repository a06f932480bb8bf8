"""Several processes behind one port: they serve as one, are counted as one, and none is missed when it dies."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from registry_grpc.v1 import models_pb2, server_pb2, server_pb2_grpc
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import distributed_settings
from tests.kit.server import RegistryServer, WithToken, running
from tests.kit.waiting import metric, until

_MREG = "from registry_grpc.cli.app import main; main()"
CALLS = {"grpc_method": "GetServerInfo", "grpc_code": "OK"}


@pytest.fixture(scope="module")
def settings(service_environment):
    with distributed_settings(service_environment) as settings:
        yield settings | {"workers": "2"}


@pytest.fixture(scope="module")
def server(settings):
    with running(settings) as server:
        yield server


def workers_of(server: RegistryServer) -> set[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(each) for each in children.split()}


def fresh_call(server: RegistryServer) -> None:
    """On a connection of its own, which the kernel gives to any of the workers."""
    channel = grpc.insecure_channel(server.endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
    stub = server_pb2_grpc.ServerServiceStub(grpc.intercept_channel(channel, WithToken(server.token)))
    stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
    channel.close()


def handled(server: RegistryServer) -> float:
    return metric(server.metrics_port, "grpc_server_handled_total", **CALLS)


def settled(server: RegistryServer) -> float:
    """As `handled`, once what other tests did is counted too: workers count in batches, a moment later."""
    found = [handled(server)]

    def stands_still() -> bool:
        time.sleep(0.5)
        found.append(handled(server))
        return found[-1] == found[-2]

    until(stands_still, within_s=20)
    return found[-1]


def readiness(server: RegistryServer) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=10)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    text = answer.read().decode().strip()
    connection.close()
    assert (answer.status, text == "ok") in {(200, True), (503, False)}
    return text


def ready(server: RegistryServer) -> bool:
    return readiness(server) == "ok"


def becomes_ready(server: RegistryServer) -> None:
    deadline = time.monotonic() + 30
    while (text := readiness(server)) != "ok":
        assert time.monotonic() < deadline, f"{text}; workers {workers_of(server)}; {server.log[-2000:]}"
        time.sleep(0.05)


def test_workers_share_one_port_and_their_metrics_are_one_sum(server):
    assert len(workers_of(server)) == 2
    becomes_ready(server)
    before = settled(server)
    for _ in range(60):
        fresh_call(server)
    until(lambda: handled(server) == before + 60, within_s=20)
    counted = metric(server.metrics_port, "grpc_server_handling_seconds_count", grpc_method="GetServerInfo")
    assert counted == before + 60
    # A gauge that is 1 in each of them is 1 for all; one that counts is their sum.
    assert metric(server.metrics_port, "registry_db_schema_at_head") == 1
    assert metric(server.metrics_port, "registry_build_info") == 1
    assert metric(server.metrics_port, "registry_uploads_in_progress") == 0


def test_what_one_worker_wrote_the_others_answer(server):
    first = server.api()
    catalogue = Catalogue(first)
    model = catalogue.model()
    for _ in range(12):
        other = server.api()
        assert other.models.GetModel(models_pb2.GetModelRequest(name=model), timeout=10).name == model
        other.close()
    first.close()


def test_a_killed_worker_is_replaced_while_the_others_serve(server):
    counted = settled(server)
    for _ in range(30):
        fresh_call(server)
    until(lambda: handled(server) == counted + 30, within_s=20)
    before = workers_of(server)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in workers_of(server), within_s=5)
    # The kernel forgets the dead one's share of the port at once: no call is lost to it.
    for _ in range(30):
        fresh_call(server)
    until(lambda: len(workers_of(server)) == 2, within_s=20)
    becomes_ready(server)
    assert len(workers_of(server) - before) == 1
    # What the dead one had counted when it was last asked stays counted: a sum that falls looks like a restart.
    until(lambda: handled(server) == counted + 60, within_s=20)
    assert '"a worker ended; it is started again"' in server.log


def test_a_worker_that_is_stopped_makes_the_whole_unready(server):
    stopped = min(workers_of(server))
    os.kill(stopped, signal.SIGSTOP)
    try:
        until(lambda: not ready(server), within_s=10)
    finally:
        os.kill(stopped, signal.SIGCONT)
    becomes_ready(server)


def test_a_port_that_is_taken_is_an_error_also_for_workers(server, settings):
    ran = start(settings | {"listen": server.endpoint, "data_dir": str(server.data_dir)})
    assert ran.returncode != 0
    assert "is another server running there?" in ran.stderr
    ran = start(settings | {"workers": "1", "listen": server.endpoint, "data_dir": str(server.data_dir)})
    assert ran.returncode != 0
    assert "is another server running there?" in ran.stderr


def test_workers_that_cannot_start_end_the_parent_with_the_reason_once(settings, tmp_path):
    broken = settings | {"database_url": settings["database_url"] + "_gone", "data_dir": str(tmp_path / "data")}
    ran = start(broken | {"listen": "127.0.0.1:0"})
    assert ran.returncode == 6
    assert ran.stderr.count("mreg: ") == 1
    assert not ran.stdout


def test_sigterm_drains_every_worker_and_the_parent_ends_with_success(server):
    processes = workers_of(server)
    assert server.stop() == 0
    assert not [each for each in processes if Path(f"/proc/{each}").exists()]
    # The port is free for the next one.
    server.start()
    fresh_call(server)


def test_workers_whose_parent_was_killed_drain_and_end(server):
    processes = workers_of(server)
    server.kill()
    try:
        until(lambda: not [each for each in processes if _runs(each)], within_s=20)
    finally:
        server.start()


def test_sqlite_belongs_to_one_process_and_workers_say_so(tmp_path):
    ran = start({"workers": "2", "data_dir": str(tmp_path / "data"), "listen": "127.0.0.1:0"})
    assert ran.returncode == 2
    assert "workers: 2 processes need PostgreSQL, because a SQLite file belongs to one process" in ran.stderr
    named = tmp_path / "url"
    named.write_text(f"sqlite:///{tmp_path}/registry.db")
    ran = start({"workers": "2", "data_dir": str(tmp_path / "data"), "database_url_file": str(named)})
    assert ran.returncode == 1
    assert "SQLite" in ran.stderr


def start(settings) -> subprocess.CompletedProcess:
    """`mreg serve` with these settings, which must fail."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return subprocess.run(
        [sys.executable, "-c", _MREG, "serve", "--metrics-listen=off"],
        env=clean | {f"MREG_{name.upper()}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
