"""`mreg` in this process, against a real server per module."""

import sys
from dataclasses import dataclass

import pytest

from registry_grpc.cli.app import app, with_globals_first
from tests.kit.server import running


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def server():
    with running() as process:
        yield process


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("ENDPOINT", "TOKEN", "TOKEN_FILE", "CA_FILE", "PROJECT", "CACHE_DIR", "CONTEXT", "DATA_DIR", "OUTPUT"):
        monkeypatch.delenv(f"MREG_{name}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def mreg(monkeypatch, capsys):
    """Runs one command as `main` does."""

    def run(*arguments):
        given = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["mreg", *given])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(with_globals_first(given), prog_name="mreg")
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def connected(mreg, server, monkeypatch):
    """`mreg` that knows the server and its token."""
    monkeypatch.setenv("MREG_ENDPOINT", server.endpoint)
    monkeypatch.setenv("MREG_DATA_DIR", str(server.data_dir))
    return mreg


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "sub" / "w.bin").write_bytes(b"weights" * 1000)
    return root
