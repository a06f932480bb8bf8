import pytest

from registry_grpc.storage.sql import SqlStore
from tests.promises.webhooks.world import World


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """An empty store of either engine."""
    sqlite = f"sqlite:///{tmp_path / 'data' / 'registry.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = SqlStore(url, auto_upgrade=True, pool_size=16)
    yield store
    store.close()


@pytest.fixture
def world(store):
    return World(store)
