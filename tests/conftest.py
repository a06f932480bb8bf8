"""Fixtures that every room's tests may ask for."""

import pytest

from tests.kit import engines

pytest_plugins = ["tests.kit.watchdog"]


@pytest.fixture(scope="session", autouse=True)
def no_logins_of_the_developer(tmp_path_factory):
    """No test calls the server whoever runs it is logged in to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("xdg-config")))
        patch.delenv("MREG_CONTEXT", raising=False)
        yield


@pytest.fixture(scope="session")
def service_environment():
    """The MREG_TEST_… variables of running engines; the test fails when they cannot be started."""
    return engines.service_environment()


@pytest.fixture
def postgres_url(service_environment):
    """The SQLAlchemy address of an empty PostgreSQL database of the test's own."""
    with engines.fresh_database(service_environment["MREG_TEST_POSTGRES_URL"]) as url:
        yield url


@pytest.fixture
def minio_bucket(service_environment):
    """An empty S3 bucket of the test's own, with endpoint and keys."""
    with engines.fresh_bucket(
        service_environment["MREG_TEST_MINIO_ENDPOINT"],
        service_environment["MREG_TEST_MINIO_ACCESS_KEY"],
        service_environment["MREG_TEST_MINIO_SECRET_KEY"],
    ) as bucket:
        yield bucket
