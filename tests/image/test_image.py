"""What the image does, done without an engine: its steps, its user, its read-only root."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from tests.kit.engines import ROOT, places, private_directory
from tests.kit.image import DOCKERFILE, USER, contained, of, reachable_python, steps
from tests.kit.server import RegistryServer
from tests.kit.waiting import until

UV = Path(sys.executable).parent / "uv"


def run(*command, **options):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def image():
    """The file system of the image, as far as we made it: /opt/mreg and the wheel in it."""
    with private_directory() as directory:
        tree = directory / "opt/mreg"
        # pip in the image, uv here: the same wheels by the same hashes, in seconds.
        run(UV, "venv", "--quiet", "--python", reachable_python(), tree)
        python = tree / "bin/python"
        # Copies: files of the cache belong to whoever made it, and may lie in a closed home.
        install = [UV, "pip", "install", "--quiet", "--link-mode=copy", "--python", python]
        run(*install, "--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements/image.txt")
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory / "dist", cwd=ROOT)
        [wheel] = (directory / "dist").glob("*.whl")
        run(*install, "--no-deps", "--no-index", wheel)
        run(UV, "pip", "check", "--quiet", "--python", python)
        run("chmod", "-R", "a+rX,a-w", directory / "opt")
        yield directory
        run("chmod", "-R", "u+w", directory / "opt")


@functools.cache
def sqlite_library(directory):
    """The library of the stage `sqlite`, built by its own line."""
    [line] = of("sqlite", "RUN")
    made = Path(directory) / "sqlite"
    made.mkdir()
    # Without optimisation: what it is counts here, and not how fast.
    run("bash", "-euo", "pipefail", "-c", line.replace("-O2", "-O0"), cwd=made)
    made.chmod(0o755)
    return made / "libsqlite3.so.0"


def container(image, *command, data, **variables):
    """Start a command of the image over a data directory."""
    tmp = image / "tmp"
    for each in (data, tmp):
        each.mkdir(exist_ok=True, mode=0o700)
        if os.geteuid() == 0:
            os.chown(each, USER, USER)
    env = {
        "PATH": f"{image}/opt/mreg/bin:/usr/bin:/bin",
        "TMPDIR": str(tmp),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MREG_DATA_DIR": str(data),
        "MREG_LOG_FORMAT": "json",
    }
    if shutil.which("gcc"):
        env["LD_LIBRARY_PATH"] = str(sqlite_library(str(image)).parent)
    return subprocess.Popen(
        contained([str(image / "opt/mreg/bin" / command[0]), *command[1:]], writable=[data, tmp]),
        env=env | variables,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def said(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    return out


def test_the_linter_finds_no_fault_with_it():
    run(Path(sys.executable).parent / "hadolint", DOCKERFILE)


def test_every_base_can_be_given_by_digest():
    bases = {step.rest.partition(" AS ")[0] for step in steps() if step.word == "FROM"}
    arguments = {rest.partition("=")[0] for rest in of("", "ARG")}
    assert bases == {f"${{{name}}}" for name in arguments}


def test_nothing_is_installed_without_a_hash():
    installs = [part for line in of("build", "RUN") for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert [part for part in installs if "--require-hashes" not in part and "--no-index" not in part] == []


def test_it_copies_nothing_that_is_not_let_in():
    copied = [word for rest in of("build", "COPY") for word in rest.split()[:-1]]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_in
    assert all((ROOT / each).exists() for each in copied)


def test_it_ends_as_nobody_in_particular():
    assert of("final", "USER") == [f"{USER}:{USER}"]
    assert of("final", "ENTRYPOINT") == ['["mreg"]']
    assert of("final", "CMD") == ['["serve"]']


def test_its_list_of_contents_names_every_package(image):
    tools = image / "tools"
    run(UV, "venv", "--quiet", "--python", reachable_python(), tools)
    lock = ROOT / "requirements/image-build.txt"
    run(UV, "pip", "install", "--quiet", "--python", tools / "bin/python", "--require-hashes", "-r", lock)
    [line] = [part.strip() for each in of("build", "RUN") for part in each.split("&&") if "cyclonedx-py" in part]
    made = image / "sbom.json"
    run(
        *line.replace("tools/bin", f"{tools}/bin")
        .replace("/opt/mreg/sbom.cdx.json", str(made))
        .replace("/opt/mreg", f"{image}/opt/mreg")
        .split()
    )
    sbom = json.loads(made.read_text())
    named = {each["name"] for each in sbom["components"]}
    locked = re.findall(r"^([a-z0-9-]+)==[^;]*$", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE)
    assert sbom["bomFormat"] == "CycloneDX"
    assert {"registry-grpc", *locked} <= {each.lower().replace("_", "-").replace(".", "-") for each in named}


def test_its_programs_are_there(image):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert [name for name in scripts if not (image / "opt/mreg/bin" / name).is_file()] == []
    data = image / "data-version"
    assert said(container(image, "mreg", "--version", data=data)).strip()
    # Nobody but root may write there, and root of the image is nobody.
    python = "import os; os.open('/opt-mreg-probe', os.O_CREAT | os.O_WRONLY)"
    process = container(image, "python", "-c", python, data=data)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Read-only file system" in err or "Permission denied" in err


@pytest.mark.skipif(not shutil.which("gcc"), reason="the library is built by gcc, as in the image")
def test_its_sqlite_is_newer_than_the_fault_in_its_log(image):
    version = said(
        container(image, "python", "-c", "import sqlite3; print(sqlite3.sqlite_version)", data=image / "data-sqlite")
    )
    assert tuple(map(int, version.split("."))) >= (3, 51, 3)


def test_the_server_starts_and_ends_as_another_user_on_a_read_only_root(image):
    data = image / "data"
    port, metrics = places.free_port(), places.free_port()
    process = container(
        image,
        "mreg",
        "serve",
        data=data,
        MREG_LISTEN=f"127.0.0.1:{port}",
        MREG_METRICS_LISTEN=f"127.0.0.1:{metrics}",
    )
    try:
        ready = json.loads(process.stdout.readline() or "{}")
        assert ready.get("ports") == [port], process.stderr.read() if process.poll() is not None else ready
        assert (data / "registry.db").stat().st_uid == (USER if os.geteuid() == 0 else os.geteuid())
        until(lambda: _ready(metrics), 30)
        server = RegistryServer(data, port=port)
        from registry_grpc.client import Registry

        with Registry(server.endpoint, token=server.token) as registry:
            (image / "model.bin").write_bytes(b"weights")
            pushed = registry.push("fraud", image / "model.bin")
            assert registry.resolve("fraud/1").version == pushed.name
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def _ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
