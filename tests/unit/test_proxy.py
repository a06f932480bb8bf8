"""The lying proxy does what it is told: proofs rest on it."""

import contextlib
import socket
import threading
import time

import pytest

from tests.kit.proxy import Proxy


@pytest.fixture
def echo():
    """A server that says back what it hears; its endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection):
            with connection, contextlib.suppress(OSError):
                while piece := connection.recv(4096):
                    connection.sendall(piece)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo):
    with Proxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    host, port = proxy.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=0.5) as connection:
        connection.sendall(b"hello")
        assert connection.recv(10) == b"hello"
        yield connection


def test_latency_is_added_each_way(proxy, client):
    proxy.fault(latency_s=0.1)
    began = time.monotonic()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    assert time.monotonic() - began >= 0.2


def test_a_blackhole_is_silent_and_healing_lets_everything_through(proxy, client):
    proxy.blackhole()
    client.sendall(b"later")
    with pytest.raises(TimeoutError):
        client.recv(5)
    proxy.heal()
    assert client.recv(5) == b"later"


def test_swallowed_replies_never_come_although_the_request_arrived(proxy, client):
    proxy.fault(swallow_replies=True)
    before = proxy.received
    client.sendall(b"lost!")
    with pytest.raises(TimeoutError):
        client.recv(5)
    assert proxy.received == before + 5


def test_a_cut_resets_what_is_open(proxy, client):
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_slow_is_as_slow_as_said(proxy, client):
    proxy.fault(bytes_per_s=1000)
    began = time.monotonic()
    client.sendall(b"x" * 100)
    left = 100
    while left:
        left -= len(client.recv(left))
    assert time.monotonic() - began >= 0.2


def test_refused_connections_are_reset(proxy):
    proxy.fault(refuse=True)
    host, port = proxy.endpoint.split(":")
    # The reset may come while connecting, or after.
    with pytest.raises(ConnectionResetError), socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.recv(1)
