"""Ports of tests: nobody else takes one while its server is down for a restart."""

import socket
from itertools import islice

import pytest

from tests.kit.engines import places


@pytest.fixture
def share(monkeypatch):
    def of(worker, workers):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", workers)
        places._share.cache_clear()
        return places._share()

    yield of
    places._share.cache_clear()


def test_workers_draw_from_different_ports_and_none_twice(share):
    drawn = [list(islice(share(worker, "2"), 11_000)) for worker in ("gw0", "gw1")]
    assert not set(drawn[0]) & set(drawn[1])
    for ports in drawn:
        assert len(set(ports)) == len(ports)
        assert ports != sorted(ports)
        assert min(ports) >= 10_240
        assert max(ports) < 32_768


def test_a_port_somebody_listens_on_is_not_given_out(share):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not places.is_free(taken.getsockname()[1])
    first = next(share("gw0", "1"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        places._share.cache_clear()
        assert first not in {places.free_port() for _ in range(100)}
