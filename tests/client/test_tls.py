import subprocess

import pytest

from registry_grpc.client import InvalidArgument, Registry, Unavailable
from tests.kit.server import running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-keyout", key, "-out", cert, "-days", "2", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture(scope="module", params=["tls", "mtls"])
def tls_server(request, certificate):
    cert, key = certificate
    settings = {"tls_cert": str(cert), "tls_key": str(key), "listen": f"{request.param}://127.0.0.1:0"}
    if request.param == "mtls":
        settings["tls_client_ca"] = str(cert)
    with running(settings) as server:
        yield server, request.param == "mtls"


def test_a_push_and_a_pull_over_tls(tls_server, certificate, tree, tmp_path):
    server, mutual = tls_server
    cert, key = certificate
    own = {"client_cert": cert, "client_key": key} if mutual else {}
    endpoint = f"localhost:{server.port}"
    with Registry(endpoint, token=server.token, ca_file=cert, cache_dir=tmp_path / "cache", **own) as registry:
        version = registry.push("secret", tree)
        assert registry.pull(version.location).is_dir()


def test_a_server_that_cannot_prove_itself_gets_no_token(tls_server, certificate, tmp_path):
    server, _ = tls_server
    cert, _ = certificate
    # 127.0.0.1 is not in the certificate.
    with (
        Registry(f"127.0.0.1:{server.port}", token=server.token, ca_file=cert, timeout_s=5) as wrong_name,
        pytest.raises(Unavailable),
    ):
        wrong_name.server_info()
    with (
        Registry(f"localhost:{server.port}", token=server.token, timeout_s=5) as plaintext,
        pytest.raises(Unavailable),
    ):
        plaintext.server_info()
    with Registry("localhost:1", ca_file=tmp_path / "none.pem") as no_file, pytest.raises(InvalidArgument):
        no_file.server_info()
