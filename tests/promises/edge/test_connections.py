"""Callers who open connections and say nothing: they are counted before they proved anything. P14."""

import contextlib
import socket

import pytest

from registry_grpc.v1 import server_pb2
from tests.kit.frames import PREFACE, RawConnection, call, message
from tests.kit.server import running
from tests.kit.waiting import until

INFO = "/registry_grpc.v1.ServerService/GetServerInfo"
MOST = 20


def connected(server) -> socket.socket:
    """A connection whose caller has not said a word."""
    host, _, port = server.endpoint.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def is_closed(silent: socket.socket) -> bool:
    """Whether the server closed it, as far as it is known now."""
    silent.settimeout(0.05)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while data := silent.recv(4096):
            assert data
        return True
    return False


@pytest.mark.promise("P14", "connections")
def test_connections_beyond_the_limit_are_closed_and_those_within_it_are_served():
    with running({"max_connections": str(MOST)}) as server, contextlib.ExitStack() as stack:
        api = server.api()
        stack.callback(api.close)
        api.server.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
        silent = [stack.enter_context(connected(server)) for _ in range(3 * MOST)]
        # Exactly one place was taken by the polite caller.
        until(lambda: sum(is_closed(each) for each in silent) == 2 * MOST + 1, within_s=10)
        for _ in range(50):
            api.server.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
        # A place that comes free is given to the next caller.
        for each in silent:
            each.close()

        def served() -> bool:
            with contextlib.suppress(OSError), RawConnection(server.endpoint) as raw:
                return raw.call(call(INFO, token=server.token), message()).outcome == "OK"
            return False

        until(served, within_s=10)


@pytest.mark.promise("P14", "connections")
def test_a_caller_who_never_ends_the_handshake_is_shown_out():
    with running() as server, connected(server) as half:
        half.sendall(PREFACE[:10])
        half.settimeout(20)
        while half.recv(4096):
            pass
