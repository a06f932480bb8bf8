"""`mreg-fetch` with the identity a pod has: a projected service-account token that a real cluster signed."""

import json
import os
import subprocess
import sys
import uuid

import pytest

from registry_grpc.client import Registry
from tests.kit.catalogue import new_id
from tests.kit.cluster import ACCOUNTS, NAMESPACES, admin_of, service_account_token
from tests.kit.server import running

PROGRAM = "from registry_grpc.cli.fetch import main; main()"
AUDIENCE, DENIED = "mreg", 4


@pytest.fixture(scope="module")
def trusting(cluster, tmp_path_factory):
    """A registry that believes the cluster, set up as docs/operations.md says."""
    token = tmp_path_factory.mktemp("reader") / "token"
    token.write_text(cluster.apiserver.token)
    issuer = {
        "id": "k8s",
        "issuer": "https://kubernetes.default.svc",
        "audience": AUDIENCE,
        "jwks_uri": f"{cluster.apiserver.url}/openid/v1/jwks",
        "ca_file": str(cluster.apiserver.ca_file),
        "token_file": str(token),
    }
    with running({"issuers": json.dumps([issuer])}) as server:
        yield server


@pytest.fixture
def namespace(cluster):
    """With a service account `predictor`."""
    kube, name = admin_of(cluster), f"fetch-{uuid.uuid4().hex[:8]}"
    kube.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "predictor"}}
    kube.create(ACCOUNTS, name, account)
    return name


def fetch(server, token_file, reference, dest):
    known = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    environment = {"MREG_ENDPOINT": server.endpoint, "MREG_TOKEN_FILE": str(token_file)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, reference, str(dest)],
        env=known | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_pod_fetches_by_the_token_of_its_service_account(cluster, trusting, namespace, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(os.urandom(100_000))
    model = new_id("m")
    with Registry(trusting.endpoint, token=trusting.token, cache_dir=tmp_path / "cache") as registry:
        version = registry.push(model, tmp_path / "model")
        reference = f"mreg://default/{model}/1@{version.manifest_digest}"
        token = tmp_path / "token"
        token.write_text(service_account_token(admin_of(cluster), namespace, "predictor", AUDIENCE))
        before = fetch(trusting, token, reference, tmp_path / "mnt")
        assert before.returncode in {3, DENIED}, before.stderr
        assert not (tmp_path / "mnt").exists()
        principal = f"user:k8s/system:serviceaccount:{namespace}:predictor"
        registry.create_role_binding("viewer", [principal], scope=f"projects/default/models/{model}")
        allowed = fetch(trusting, token, reference, tmp_path / "mnt")
        assert allowed.returncode == 0, allowed.stderr
        assert (tmp_path / "mnt" / "weights.bin").read_bytes() == (tmp_path / "model" / "weights.bin").read_bytes()
        # One that was made for the cluster, or for somebody else, is worth nothing here.
        token.write_text(service_account_token(admin_of(cluster), namespace, "predictor", "vault"))
        elsewhere = fetch(trusting, token, reference, tmp_path / "other")
        assert elsewhere.returncode == DENIED, elsewhere.stderr
