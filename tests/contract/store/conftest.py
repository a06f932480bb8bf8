import pytest

from registry_grpc.storage.sql import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The address of an empty database of either engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'registry.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store(url):
    """A store that was just set up."""
    store = SqlStore(url, auto_upgrade=True, pool_size=32)
    yield store
    store.close()
