"""A real server per module and a Registry with a cache of its own."""

import pytest

from registry_grpc.client import Registry
from tests.kit.server import running


@pytest.fixture(scope="module")
def server():
    with running() as process:
        yield process


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch, tmp_path):
    for name in ("ENDPOINT", "TOKEN", "TOKEN_FILE", "CA_FILE", "PROJECT", "CACHE_DIR", "CONTEXT", "DATA_DIR", "OUTPUT"):
        monkeypatch.delenv(f"MREG_{name}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg-cache"))


@pytest.fixture
def registry(server, tmp_path):
    with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "cache") as client:
        yield client


@pytest.fixture
def tree(tmp_path):
    """A directory with a file, an empty one, and two equal ones further down."""
    root = tmp_path / "model"
    (root / "weights" / "deep").mkdir(parents=True)
    (root / "config.json").write_text('{"layers": 2}')
    (root / "empty").touch()
    (root / "weights" / "w.bin").write_bytes(bytes(range(256)) * 9000)
    (root / "weights" / "deep" / "again.bin").write_bytes(bytes(range(256)) * 9000)
    return root
