"""deploy/compose.yaml: read by the library of Docker Compose, its secrets made, its settings taken by the server."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from registry_grpc.domain.identity import parse_token
from registry_grpc.server.configuration import load_settings
from tests.kit.engines import ROOT
from tests.kit.prometheus import promtool, tool

DEPLOY = ROOT / "deploy"
ONCE = {"migrate", "bucket"}
"""Services that end."""


@pytest.fixture(scope="module")
def project():
    """The project as Compose understands it; faults of the file end it."""
    command = [tool("compose-spec"), "--format=json", DEPLOY / "compose.yaml"]
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """The secrets, made by the script."""
    return make(tmp_path_factory.mktemp("secrets"))


def make(directory):
    shim = directory.parent / f"{directory.name}-bin"
    shim.mkdir(exist_ok=True)
    program = "from registry_grpc.cli.app import main; main()"
    (shim / "mreg").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{program}' \"$@\"\n")
    (shim / "mreg").chmod(0o755)
    env = os.environ | {"PATH": f"{shim}:{os.environ['PATH']}"}
    done = subprocess.run([DEPLOY / "compose/make-secrets", directory], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory


def test_a_file_with_a_typo_is_no_project(tmp_path):
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / "compose.yaml").read_text().replace("healthcheck:", "healthchecks:", 1))
    done = subprocess.run([tool("compose-spec"), broken], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "healthchecks" in done.stderr + done.stdout


def test_every_secret_is_made_and_stays(project, secrets):
    named = {Path(each["file"]).name for each in project["secrets"].values()}
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert set(before) == named
    assert all(before.values())
    make(secrets)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert parse_token(before["admin-token"].decode().strip())


def test_secrets_of_a_clone_are_never_committed():
    done = subprocess.run(["git", "check-ignore", "-q", "deploy/compose/secrets/admin-token"], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_the_server_takes_the_settings(project, secrets):
    service = project["services"]["registry"]
    given = {name: value.replace("/run/secrets", str(secrets)) for name, value in service["environment"].items()}
    mounted = {each["source"] for each in service["secrets"]}
    assert {value.rpartition("/")[2] for value in service["environment"].values() if "/run/secrets" in value} == mounted
    settings = load_settings({}, given)
    assert settings.database.get_secret_value().endswith("@postgres/registry")
    [port] = service["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", settings.listeners[0].port)
    assert f":{settings.metrics_listener.port}/" in " ".join(service["healthcheck"]["test"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_every_service_that_goes_on_says_whether_it_is_well(project):
    assert {name for name, each in project["services"].items() if "healthcheck" not in each} == ONCE
    waited = {name for each in project["services"].values() for name in each.get("depends_on", {})}
    assert waited <= set(project["services"])


def test_every_image_is_of_one_version(project):
    images = {each["image"] for each in project["services"].values()}
    assert [each for each in images if not re.fullmatch(r"[a-z/-]+:[\w.-]*\d[\w.-]*", each)] == []


def test_nothing_is_published_beyond_this_machine(project):
    published = [port["host_ip"] for each in project["services"].values() for port in each.get("ports", [])]
    assert set(published) == {"127.0.0.1"}


def test_what_is_mounted_is_there_and_prometheus_reads_it(project, tmp_path):
    mounts = [each for service in project["services"].values() for each in service.get("volumes", [])]
    files = {each["target"]: each["source"] for each in mounts if each["type"] == "bind"}
    assert [source for source in files.values() if not Path(source).is_file()] == []
    text = (DEPLOY / "compose/prometheus.yaml").read_text()
    moved = tmp_path / "prometheus.yaml"
    moved.write_text(text.replace("/etc/prometheus/rules.yaml", files["/etc/prometheus/rules.yaml"]))
    assert "SUCCESS" in promtool("check", "config", moved)
