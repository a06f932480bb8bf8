import contextlib

import pytest

from registry_grpc.storage.artifacts.local import LocalArtifactStore
from registry_grpc.storage.sql import SqlStore
from tests.contract.artifacts.conftest import s3_store
from tests.kit import engines
from tests.promises.garbage.place import MovedClock, Place


@contextlib.contextmanager
def embedded(directory):
    store = SqlStore(f"sqlite:///{directory / 'registry.db'}", auto_upgrade=True, pool_size=8)
    try:
        yield Place(store, MovedClock(LocalArtifactStore(directory / "artifacts")))
    finally:
        store.close()


@contextlib.contextmanager
def distributed(environment):
    keys = (environment[f"MREG_TEST_MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    with engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]) as url, engines.fresh_bucket(*keys) as bucket:
        store = SqlStore(url, auto_upgrade=True, pool_size=8)
        try:
            yield Place(store, MovedClock(s3_store(bucket, prefix="")))
        finally:
            store.close()


@pytest.fixture(params=["embedded", "distributed"])
def place(request, tmp_path):
    """A registry without a server, on either kind of stores."""
    if request.param == "embedded":
        made = embedded(tmp_path)
    else:
        made = distributed(request.getfixturevalue("service_environment"))
    with made as place:
        place.set_up()
        yield place
