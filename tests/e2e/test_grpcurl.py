"""A client with nothing of ours: grpcurl, reflection and a token bring a model into production."""

import base64
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass

import pytest

from tests.kit.engines import ROOT
from tests.kit.server import RegistryServer, distributed, running

SERVICES = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    "registry_grpc.v1.AccessService",
    "registry_grpc.v1.DeploymentService",
    "registry_grpc.v1.EventService",
    "registry_grpc.v1.EvidenceService",
    "registry_grpc.v1.ArtifactService",
    "registry_grpc.v1.AuditService",
    "registry_grpc.v1.CatalogueService",
    "registry_grpc.v1.GovernanceService",
    "registry_grpc.v1.LineageService",
    "registry_grpc.v1.ModelService",
    "registry_grpc.v1.ProjectService",
    "registry_grpc.v1.ServerService",
    "registry_grpc.v1.StageService",
    "registry_grpc.v1.WebhookService",
}
MODEL = "projects/default/models/spam"
VERSION = f"{MODEL}/versions/1"
WEIGHTS = bytes(range(256)) * 300


@pytest.fixture(scope="session")
def grpcurl():
    made = subprocess.run([ROOT / "scripts/tool", "grpcurl"], check=True, capture_output=True, text=True)
    return made.stdout.strip()


@pytest.fixture(params=["embedded", "distributed"])
def server(request):
    if request.param == "embedded":
        settings = {}
    else:
        settings = distributed(request.getfixturevalue("postgres_url"), request.getfixturevalue("minio_bucket"))
    with running(settings) as started:
        yield started


@dataclass
class Grpcurl:
    program: str
    server: RegistryServer

    def run(self, *arguments, token=True):
        header = ["-H", f"authorization: Bearer {self.server.token}"] if token else []
        return subprocess.run(
            [self.program, "-plaintext", "-max-time", "30", *header, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    def list(self, *what, token=True):
        return self.run(self.server.endpoint, "list", *what, token=token)

    def call(self, method, **request):
        done = self.run("-d", json.dumps(request), self.server.endpoint, f"registry_grpc.v1.{method}")
        assert done.returncode == 0, f"{method}\n{done.stderr}\n{self.server.log[-2000:]}"
        return json.loads(done.stdout)


@pytest.fixture
def client(grpcurl, server):
    return Grpcurl(grpcurl, server)


def test_reflection_lists_every_service_to_who_has_a_token(client):
    done = client.list()
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == SERVICES


def test_reflection_tells_a_stranger_nothing(client):
    done = client.list(token=False)
    assert done.returncode != 0
    assert "authorization: Bearer" in done.stderr
    assert "registry_grpc" not in done.stdout + done.stderr


def test_reflection_describes_every_service_and_message(client):
    # Not single methods: grpc's Python reflection cannot look those up (grpc/grpc#34743).
    messages = set()
    for service in sorted(SERVICES):
        described = client.run(client.server.endpoint, "describe", service)
        assert described.returncode == 0, described.stderr
        messages |= set(re.findall(r"\.(registry_grpc\.v1\.\w+)", described.stdout))
    assert "registry_grpc.v1.PromoteVersionRequest" in messages
    described = client.run(client.server.endpoint, "describe", *sorted(messages)[:1])
    assert described.returncode == 0, described.stderr


def test_a_file_goes_from_nothing_to_production_by_grpcurl_alone(client):
    client.call("ModelService/CreateModel", parent="projects/default", model_id="spam")
    version = client.call("ModelService/CreateVersion", parent=MODEL, version={"owner": "nobody in particular"})
    assert (version["name"], version["state"]) == (VERSION, "VERSION_STATE_DRAFT")

    upload = client.call("ArtifactService/StartUpload", parent=VERSION, path="spam.bin", size_bytes=len(WEIGHTS))
    assert upload["state"] == "STATE_ACTIVE"
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    written = client.call(
        "ArtifactService/WriteUpload",
        name=upload["name"],
        chunk={"content": base64.b64encode(WEIGHTS).decode()},
        finish_write=True,
        digest={"sha256": sha256, "size_bytes": len(WEIGHTS)},
    )
    assert written["state"] == "STATE_COMMITTED"
    assert written["artifact"]["digest"]["sha256"] == sha256

    frozen = client.call("ModelService/FinalizeVersion", name=VERSION)
    assert (frozen["state"], frozen["stage"]) == ("VERSION_STATE_READY", "development")
    manifest = hashlib.sha256(b"registry-grpc manifest v1\n" + f"{sha256} {len(WEIGHTS)} spam.bin\n".encode())
    assert frozen["manifest_digest"] == f"sha256:{manifest.hexdigest()}"

    client.call("StageService/PromoteVersion", name=VERSION, stage="staging")
    client.call("StageService/PromoteVersion", name=VERSION, stage="production", expected_version=0)
    answer = client.call("StageService/Resolve", name=MODEL, stage="production")
    assert answer["version"] == VERSION
    assert answer["location"] == f"mreg://default/spam/1@{frozen['manifest_digest']}"

    read = client.call("ArtifactService/ReadArtifact", name=written["artifact"]["name"])
    assert base64.b64decode(read["chunk"]["content"]) == WEIGHTS


def test_an_error_reaches_grpcurl_with_its_reason(client):
    done = client.run(
        "-d", json.dumps({"name": MODEL}), client.server.endpoint, "registry_grpc.v1.ModelService/GetModel"
    )
    assert done.returncode != 0
    assert "MODEL_NOT_FOUND" in done.stderr
    assert "registry-grpc" in done.stderr
