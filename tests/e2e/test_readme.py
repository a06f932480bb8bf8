"""The README is true: each of its code fences is run as it stands, and only the port is another one."""

import contextlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from registry_grpc.client import Registry
from tests.kit.engines import ROOT

README = (ROOT / "README.md").read_text()
DEFAULT_ENDPOINT = "127.0.0.1:7470"
START_COMMAND = "mreg serve"
TIMEOUT_S = 110


def section(heading):
    """Return the code of the one fence below `heading`; the part before any heading is ''."""
    parts = re.split(r"^## (.+)$", README, flags=re.MULTILINE)
    text = dict(zip(["", *parts[1::2]], parts[::2], strict=True))[heading]
    (code,) = re.findall(r"^```(?:sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return code


def reader_environment(home, **extra):
    """Return the environment of somebody new: nothing configured, an empty home."""
    inherited = ("MREG_", "XDG_", "PYTHON", "PIP_", "VIRTUAL_ENV")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    return clean | {"HOME": str(home), **extra}


def run(command, environment, cwd):
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def serving(environment, cwd):
    """Run the README's `mreg serve` on free ports; yield its address."""
    free_ports = {"MREG_LISTEN": "127.0.0.1:0", "MREG_METRICS_LISTEN": "127.0.0.1:0"}
    with (
        (cwd / "server.log").open("w") as log,
        subprocess.Popen(
            ["sh", "-c", f"exec {START_COMMAND}"],
            env=environment | free_ports,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            assert line, (cwd / "server.log").read_text()
            yield f"127.0.0.1:{json.loads(line)['ports'][0]}"
        finally:
            process.terminate()
            process.wait(40)


@pytest.fixture
def reader(tmp_path):
    """Somebody with this checkout's commands, a home, a model file and a running registry."""
    home, desk = tmp_path / "home", tmp_path / "desk"
    home.mkdir()
    desk.mkdir()
    (desk / "model.bin").write_bytes(b"weights\x00\xff")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = reader_environment(home, PATH=path)
    with serving(environment, desk) as endpoint:
        yield {"environment": environment | {"MREG_ENDPOINT": endpoint}, "cwd": desk, "endpoint": endpoint}


def registry_of(reader):
    token = Path(reader["environment"]["HOME"]) / ".local/share/mreg/admin.token"
    return Registry(reader["endpoint"], token_file=token, cache_dir=reader["cwd"] / "cache")


def test_the_two_commands_at_the_top_are_targets_of_make():
    # Their own tests run them: test_demo.py the one, and this very run is the other.
    commands = [line.partition("#")[0].strip() for line in section("").splitlines()]
    assert commands == ["make demo", "make test"]
    for command in commands:
        run([*command.split(), "--dry-run"], dict(os.environ), ROOT)


def test_the_install_lines_give_a_server_that_starts(tmp_path):
    install, start = section("Start").splitlines()
    assert start == START_COMMAND
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True, symlinks=True)
    # What the lock installed stands in for the package index; only the project itself is built and installed.
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home = tmp_path / "home"
    home.mkdir()
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    reader = reader_environment(home, PATH=path, **offline)
    run(["sh", "-ec", install], reader, ROOT)
    assert (environment / "bin/mreg").exists()
    with serving(reader, tmp_path):
        assert (home / ".local/share/mreg/admin.token").stat().st_mode & 0o777 == 0o600


def test_the_python_lines_put_a_version_into_production(reader):
    printed = run([sys.executable, "-c", section("Python")], reader["environment"], reader["cwd"])
    assert (Path(printed.strip()) / "model.bin").read_bytes() == (reader["cwd"] / "model.bin").read_bytes()
    with registry_of(reader) as registry:
        assert registry.get_stage("fraud", "production").version_number == 1


def test_the_command_lines_push_promote_resolve_and_pull(reader):
    printed = run(["bash", "-euo", "pipefail", "-c", section("Command line")], reader["environment"], reader["cwd"])
    assert printed.count("mreg://default/churn/1@sha256:") >= 3
    assert (reader["cwd"] / "model/model.bin").read_bytes() == (reader["cwd"] / "model.bin").read_bytes()


def test_the_grpcurl_lines_create_upload_finalize_promote_and_resolve(reader):
    grpcurl = Path(run([ROOT / "scripts/tool", "grpcurl"], dict(os.environ), ROOT).strip())
    environment = reader["environment"]
    environment = environment | {"PATH": f"{grpcurl.parent}{os.pathsep}{environment['PATH']}"}
    code = section("Any language")
    assert DEFAULT_ENDPOINT in code
    code = code.replace(DEFAULT_ENDPOINT, reader["endpoint"])
    printed = run(["bash", "-euo", "pipefail", "-c", code], environment, reader["cwd"])
    assert '"location": "mreg://default/spam/1@sha256:' in printed.rpartition('"version"')[2]
    with registry_of(reader) as registry:
        assert registry.get_stage("spam", "production").version_number == 1


def test_every_code_fence_of_the_readme_is_run_by_a_test():
    run_above = ("", "Start", "Python", "Command line", "Any language")
    assert all(section(heading) for heading in run_above)
    assert README.count("```") == 2 * len(run_above)


def test_every_file_the_readme_points_at_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
