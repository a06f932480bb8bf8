"""One Kubernetes API and one registry for all tests of a process; a namespace for each test."""

import pytest

from tests.kit.cluster import admin_of, install_crds
from tests.kit.controllers import space
from tests.kit.kubernetes import private_kubernetes
from tests.kit.server import running


@pytest.fixture(scope="session")
def cluster():
    with private_kubernetes() as made:
        install_crds(admin_of(made))
        yield made


@pytest.fixture(scope="session")
def shared_server():
    with running() as server:
        yield server


@pytest.fixture
def here(cluster, shared_server, tmp_path):
    """A namespace with the shared registry; for tests that do the registry no harm."""
    with space(cluster, shared_server, tmp_path) as made:
        yield made


@pytest.fixture
def server():
    """A registry of the test's own, which it may kill."""
    with running() as made:
        yield made


@pytest.fixture
def alone(cluster, server, tmp_path):
    """A namespace with a registry of the test's own."""
    with space(cluster, server, tmp_path) as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its controllers said."""
    outcome = yield
    report = outcome.get_result()
    made = item.funcargs.get("here") or item.funcargs.get("alone") if hasattr(item, "funcargs") else None
    if report.failed and made is not None:
        for each in made.controllers:
            report.sections.append(("controller", each.log[-6000:]))
