"""The commands of the pods, as they are rendered, against real servers: no kubelet runs them in the other tests."""

import os
import socket
import subprocess
import sys
import uuid
from urllib.request import urlopen

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import make_url

from registry_grpc.client import Registry
from registry_grpc.storage.sql import schema
from tests.kit.chart import PRODUCTION, SMALLEST, environment, one, pods, render
from tests.kit.engines import places
from tests.kit.server import running
from tests.kit.waiting import until


@pytest.fixture
def path(tmp_path):
    """PATH of a container: `mreg` and what a small image has."""
    (tmp_path / "bin").mkdir()
    for name, module in (("mreg", "app"), ("mreg-fetch", "fetch")):
        program = tmp_path / "bin" / name
        call = f"from registry_grpc.cli.{module} import main; main()"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{call}' \"$@\"\n")
        program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


def database_file(tmp_path, url):
    file = tmp_path / "url"
    file.write_text(url)
    return file


def of_container(container, path, **moved):
    """Return the command and environment of a container, with values that are other ones here."""
    command = container.get("command", []) or ["mreg", *container["args"]]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return command, clean | environment(container) | {"PATH": path} | moved


def test_the_servers_wait_for_the_schema_and_the_job_makes_it(postgres_url, tmp_path, path):
    manifests = pods(render(PRODUCTION, {"database": {"migrations": {"grantTo": ""}}}))
    url_file = str(database_file(tmp_path, postgres_url))
    [waiting], [migrating] = manifests["server"]["initContainers"], manifests["migration"]["containers"]
    command, env = of_container(waiting, path, MREG_DATABASE_URL_FILE=url_file)
    with (tmp_path / "waiting.log").open("w+") as log:
        waiter = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            said = tmp_path / "waiting.log"
            until(lambda: "run `mreg db upgrade`" in said.read_text(), 60)
            assert waiter.poll() is None
            command, env = of_container(migrating, path, MREG_DATABASE_URL_FILE=url_file)
            for _ in range(2):
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            assert "no change" in done.stdout
            assert waiter.wait(60) == 0
        finally:
            waiter.kill()
            waiter.wait()
    assert schema.check(postgres_url).ok


def test_the_job_of_an_owner_lets_servers_in_that_cannot_change_the_past(postgres_url, tmp_path, path):
    manifests = pods(render(PRODUCTION))
    owner = postgres_url.replace("+psycopg", "")
    role, server_role = "mreg_app", f"mreg_app_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {server_role} LOGIN PASSWORD 'only-here'")
    try:
        [migrating] = manifests["migration"]["containers"]
        command, env = of_container(migrating, path, MREG_DATABASE_URL_FILE=str(database_file(tmp_path, postgres_url)))
        # Roles are of the whole server, which other tests use too.
        command = [each.replace(role, server_role) for each in command]
        assert f"--grant-to={server_role}" in command
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        address = make_url(postgres_url).set(username=server_role, password="only-here")
        restricted = address.render_as_string(hide_password=False)
        settings = {"database_url": restricted, "compact_events": "false"}
        with running(settings) as server, Registry(server.endpoint, token=server.token) as registry:
            registry.create_model("fraud")
        with (
            psycopg.connect(restricted.replace("+psycopg", "")) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("DELETE FROM audit")
    finally:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {server_role}")
            connection.execute(f"DROP ROLE {server_role}")


def test_a_server_that_is_too_old_for_the_database_waits_and_says_so(postgres_url, tmp_path, path):
    schema.upgrade(postgres_url)
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    [migrating] = pods(render(PRODUCTION))["migration"]["containers"]
    command, env = of_container(migrating, path, MREG_DATABASE_URL_FILE=str(database_file(tmp_path, postgres_url)))
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "newer than this program" in done.stderr


def test_the_test_pod_pushes_promotes_and_pulls(tmp_path, path):
    [container] = pods(render(SMALLEST))["test"]["containers"]
    assert container["workingDir"] == "/tmp"  # noqa: S108 -- of the pod
    # Not on loopback, where clients need not be told that there is no TLS.
    with running({"listen": "0.0.0.0:0", "insecure_plaintext": "true", "drain_wait_s": "0"}) as server:
        moved = {
            "MREG_ENDPOINT": f"{own_address()}:{server.port}",
            "MREG_TOKEN": server.token,
            "MREG_CACHE_DIR": str(tmp_path / "cache"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }
        command, env = of_container(container, path, **moved)
        for number in (1, 2):
            room = tmp_path / f"run-{number}"
            room.mkdir()
            done = subprocess.run(command, env=env, cwd=room, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "pushed, promoted and pulled" in done.stdout
            assert f"/versions/{number}" in done.stdout


def own_address():
    """An address of this machine that others use; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: it only asks which way it would go.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


def test_programs_of_the_release_speak_tls_when_the_registry_does():
    for example, insecure in ((SMALLEST, True), (PRODUCTION, False)):
        values = {"controller": {"enabled": True, "tokenSecret": "t"}}
        found = pods(render(example, values))
        [test], [controller] = found["test"]["containers"], found["controller"]["containers"]
        assert ("mreg --insecure push" in test["command"][-1].replace(" -o name", "")) is insecure
        assert (controller["args"][0] == "--insecure") is insecure


def test_the_test_pod_fails_without_the_right(tmp_path, path):
    [container] = pods(render(SMALLEST))["test"]["containers"]
    with running() as server:
        command, env = of_container(container, path, MREG_ENDPOINT=server.endpoint, MREG_TOKEN="mreg_nobody")
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_kserve_fetches_what_is_pinned_and_nothing_else(tmp_path, path):
    container = one(render(PRODUCTION), "ClusterStorageContainer")["spec"]["container"]
    assert container["name"] == "storage-initializer"
    (tmp_path / "weights.bin").write_bytes(b"weights")
    with running() as server:
        with Registry(server.endpoint, token=server.token) as registry:
            pushed = registry.push("fraud", tmp_path / "weights.bin")
            registry.promote(pushed.name, "staging")
        moved = {"MREG_ENDPOINT": server.endpoint, "MREG_TOKEN": server.token}
        command, env = of_container(container, path, **moved)

        def fetch(source, target):
            # KServe gives the address and the directory as arguments.
            arguments = [*command, source, str(tmp_path / target)]
            return subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)

        done = fetch(pushed.location, "pinned")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "pinned/weights.bin").read_bytes() == b"weights"
        assert fetch("mreg://default/fraud@staging", "floating").returncode != 0
        assert not (tmp_path / "floating/weights.bin").exists()


def test_the_server_of_the_pod_answers_the_kubelet(tmp_path, path):
    ports = {name: places.free_port() for name in ("grpcPort", "metricsPort", "healthPort")}
    values = {"server": {"bindAddress": "127.0.0.1", "drainWaitSeconds": 0, **ports}}
    [container] = pods(render(SMALLEST, values))["server"]["containers"]
    command, env = of_container(container, path, MREG_DATA_DIR=str(tmp_path / "data"))
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["grpc"]
            until(lambda asked=asked: serving(asked["port"], asked["service"]), 60)
        # Nothing else is on that port, which needs no token.
        assert not serving(ports["healthPort"], "no.such.Service")
        assert urlopen(f"http://127.0.0.1:{ports['metricsPort']}/metrics", timeout=10).status == 200
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()


def serving(port, service):
    """Ask as the kubelet does, without TLS and token."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        except grpc.RpcError:
            return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING
