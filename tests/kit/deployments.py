"""The two ways to run the registry, for tests that must hold on both."""

import contextlib
from collections.abc import Iterator, Mapping

from tests.kit import engines
from tests.kit.server import RegistryServer, distributed, running

EMBEDDED = "sqlite+directory"
DISTRIBUTED = "postgresql+minio"
DEPLOYMENTS = (EMBEDDED, DISTRIBUTED)


@contextlib.contextmanager
def distributed_settings(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Settings for any number of servers over one empty database and one empty bucket of the shared engines."""
    with (
        engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]) as url,
        engines.fresh_bucket(
            environment["MREG_TEST_MINIO_ENDPOINT"],
            environment["MREG_TEST_MINIO_ACCESS_KEY"],
            environment["MREG_TEST_MINIO_SECRET_KEY"],
        ) as bucket,
    ):
        yield distributed(url, bucket)


@contextlib.contextmanager
def deployed(kind: str, environment: Mapping[str, str], **settings: str) -> Iterator[RegistryServer]:
    """A running server of that kind with nothing in it."""
    if kind == EMBEDDED:
        with running(settings) as server:
            yield server
        return
    with distributed_settings(environment) as given, running(given | settings) as server:
        yield server


@contextlib.contextmanager
def two_replicas(environment: Mapping[str, str]) -> Iterator[tuple[RegistryServer, RegistryServer]]:
    """Two servers over one PostgreSQL and one bucket; the admin token of the first opens both."""
    with distributed_settings(environment) as given, running(given) as first, running(given) as second:
        # The replica that came second made no token of its own.
        (second.data_dir / "admin.token").write_text(first.token)
        yield first, second
