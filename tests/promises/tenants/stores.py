"""A store of either engine for proofs that race use cases, and what they need beside it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_grpc.domain.calls import Call, Principal
from registry_grpc.storage.sql import SqlStore

DAY = timedelta(days=1)


class NoDrift:
    """An observer for `RepairUsage` that wants to hear nothing."""

    def drifted(self, project: str, said: object, counted: object) -> None:
        """Fail."""
        raise AssertionError((project, said, counted))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: Any, tmp_path: Path) -> Iterator[SqlStore]:
    """A store that was just set up."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'registry.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    store = SqlStore(url, auto_upgrade=True, pool_size=8)
    yield store
    store.close()


def call(method: str = "Tests.Race") -> Call[Any]:
    """A call without request_id."""
    return Call(principal=Principal("user:ada"), method=method)
