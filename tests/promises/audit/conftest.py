import pytest

from registry_grpc.storage.artifacts.local import LocalArtifactStore
from registry_grpc.storage.sql import SqlStore
from tests.promises.audit.world import World


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, tmp_path):
    """A trail on either engine, with notes in a directory."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'data' / 'registry.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    store = SqlStore(url, auto_upgrade=True, pool_size=4)
    yield World(store, LocalArtifactStore(tmp_path / "artifacts"), tmp_path)
    store.close()
