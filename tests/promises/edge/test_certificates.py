"""Certificates change while the server runs: the new one is served, a broken one is not, and metrics say so."""

import os
import shutil
import ssl
import subprocess
import time

import grpc
import pytest

from registry_grpc.server.expiry import expiry_of
from registry_grpc.v1 import server_pb2, server_pb2_grpc
from tests.kit.engines import places
from tests.kit.server import RegistryServer, WithToken, running
from tests.kit.waiting import metric, until

EXPIRY = "registry_tls_certificate_expiry_timestamp_seconds"
FAILURES = "registry_tls_certificate_reload_failures_total"
DAY_S = 86_400


def make(directory, name, days, common_name="localhost"):
    """A certificate that signs itself; its path and its key's."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", str(days), "-subj", f"/CN={common_name}",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def live(tmp_path):
    """The files a server is told to use, from the first certificate on."""
    certificate, key = make(tmp_path, "first", 10)
    return shutil.copy(certificate, tmp_path / "live.pem"), shutil.copy(key, tmp_path / "live.key")


@pytest.fixture
def mtls_port():
    return places.free_port()


@pytest.fixture
def server(live, mtls_port):
    settings = {
        "listen": f"tls://127.0.0.1:0,mtls://127.0.0.1:{mtls_port}",
        "tls_cert": str(live[0]),
        "tls_key": str(live[1]),
        "tls_client_ca": str(live[0]),
    }
    with running(settings) as server:
        yield server


def put(source, target):
    """As a secret is mounted: the new file takes the name in one step."""
    shutil.copy(source, f"{target}.new")
    os.replace(f"{target}.new", target)  # noqa: PTH105 -- the paths are texts here


def served(port) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def call(server: RegistryServer, port, roots, pair=(None, None)):
    credentials = grpc.ssl_channel_credentials(roots.read_bytes(), *pair)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = server_pb2_grpc.ServerServiceStub(grpc.intercept_channel(channel, WithToken(server.token)))
        return stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)


def test_a_new_certificate_is_served_to_new_connections_of_every_listener_and_old_ones_live_on(
    tmp_path, live, server, mtls_port
):
    tls_port = server.port
    first = tmp_path / "first.pem"
    expires = metric(server.metrics_port, EXPIRY)
    assert abs(expires - time.time() - 10 * DAY_S) < DAY_S
    credentials = grpc.ssl_channel_credentials(first.read_bytes())
    with grpc.secure_channel(f"localhost:{tls_port}", credentials) as old:
        stub = server_pb2_grpc.ServerServiceStub(grpc.intercept_channel(old, WithToken(server.token)))
        stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
        second, key = make(tmp_path, "second", 20)
        put(second, live[0])
        put(key, live[1])
        until(lambda: served(tls_port) == second.read_text(), within_s=10)
        call(server, tls_port, second)
        stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
    until(lambda: metric(server.metrics_port, EXPIRY) > expires + 9 * DAY_S, within_s=5)
    # The other listener has not been asked since; it follows as well, its authorities included.
    call(server, mtls_port, second, (key.read_bytes(), second.read_bytes()))
    with pytest.raises(grpc.RpcError):
        call(server, mtls_port, second, ((tmp_path / "first.key").read_bytes(), first.read_bytes()))


@pytest.mark.parametrize("fault", ["garbage", "key of another", "key gone", "certificate cut"])
def test_a_certificate_that_cannot_be_used_leaves_the_last_good_one_and_is_counted(tmp_path, live, server, fault):
    first = (tmp_path / "first.pem").read_text()
    assert metric(server.metrics_port, FAILURES) == 0
    other, other_key = make(tmp_path, "other", 5)
    if fault == "garbage":
        (tmp_path / "bad").write_text("no certificate")
        put(tmp_path / "bad", live[0])
    elif fault == "key of another":
        put(other_key, live[1])
    elif fault == "key gone":
        os.unlink(live[1])  # noqa: PTH108 -- the paths are texts here
    else:
        (tmp_path / "bad").write_text(first[: len(first) // 2])
        put(tmp_path / "bad", live[0])
    for _ in range(3):
        assert served(server.port) == first
    assert metric(server.metrics_port, FAILURES) == 1
    assert "the last good one stays" in server.log
    assert abs(metric(server.metrics_port, EXPIRY) - time.time() - 10 * DAY_S) < DAY_S
    # Mended, it is taken up without a restart.
    put(other, live[0])
    put(other_key, live[1])
    until(lambda: served(server.port) == other.read_text(), within_s=10)


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"])
def test_the_end_of_what_is_no_certificate_is_an_error(text):
    with pytest.raises(ValueError, match="certificate"):
        expiry_of(text)
