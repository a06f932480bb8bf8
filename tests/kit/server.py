"""A real registry server in a process of its own, on free ports, that a test may kill and start again."""

import atexit
import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from registry_grpc.storage.sql import schema
from registry_grpc.v1 import (
    access_pb2_grpc,
    artifacts_pb2_grpc,
    audit_pb2_grpc,
    catalogue_pb2_grpc,
    deployments_pb2_grpc,
    events_pb2_grpc,
    evidence_pb2_grpc,
    governance_pb2_grpc,
    lineage_pb2_grpc,
    models_pb2_grpc,
    projects_pb2_grpc,
    server_pb2_grpc,
    stages_pb2_grpc,
    webhooks_pb2_grpc,
)
from tests.kit import canaries
from tests.kit.engines import Bucket, places

START_TIMEOUT_S = 30.0
PROGRAM = """
import os, sys
from registry_grpc.server.configuration import load_settings
from registry_grpc.server.main import serve
serve(load_settings({}, os.environ))
"""


@dataclass
class RegistryServer:
    """One server process. Settings are its environment, without the `MREG_` prefix, in lower case."""

    data_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    failpoints: str = ""
    """Armed from the next start on; see `registry_grpc.failpoints`."""
    program: str = PROGRAM
    """What its Python runs."""
    process: subprocess.Popen[str] | None = None
    port: int = 0
    metrics_port: int = 0

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.data_dir / "admin.token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.data_dir / "server.log").read_text()

    @property
    def fired(self) -> Counter[str]:
        """How often each failpoint fired, over all starts."""
        log = self.data_dir / "failpoints.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()

    def start(self) -> "RegistryServer":
        """Start, or start again on the same port, and wait until it takes calls."""
        self.data_dir.mkdir(exist_ok=True, mode=0o700)
        self.port, self.metrics_port = self.port or places.free_port(), self.metrics_port or places.free_port()
        given = {
            "data_dir": str(self.data_dir),
            "listen": f"127.0.0.1:{self.port}",
            "metrics_listen": f"127.0.0.1:{self.metrics_port}",
            "log_format": "json",
            **self.settings,
        }
        if self.failpoints:
            given |= {"test_failpoints": self.failpoints, "test_failpoints_log": str(self.data_dir / "failpoints.log")}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
        with (self.data_dir / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program],
                env=clean | {f"MREG_{name.upper()}": value for name, value in given.items()},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            self.process.wait(START_TIMEOUT_S)
            raise AssertionError(f"the server did not start:\n{self.log[-4000:]}")
        ready = json.loads(line)
        self.port, self.metrics_port = ready["ports"][0], ready["metrics_port"]
        canaries.learn(self.settings, self.data_dir)
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()
        self._close()

    def stop(self, timeout_s: float = 40.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        code = self.process.wait(timeout_s)
        self._close()
        return code

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        canaries.require_none_of_server(self.settings, self.data_dir)

    def channel(self, token: str = "") -> grpc.Channel:
        """A plain channel that sends this token, or the admin's."""
        # One subchannel pool per channel: tests that cut connections must not disturb each other.
        channel = grpc.insecure_channel(self.endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        return grpc.intercept_channel(channel, WithToken(token or self.token))

    def api(self, token: str = "") -> "Api":
        return Api(self.channel(token))


class Api:
    """The stubs of every service over one channel, with nothing of our SDK in between."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.access = access_pb2_grpc.AccessServiceStub(channel)
        self.server = server_pb2_grpc.ServerServiceStub(channel)
        self.projects = projects_pb2_grpc.ProjectServiceStub(channel)
        self.models = models_pb2_grpc.ModelServiceStub(channel)
        self.governance = governance_pb2_grpc.GovernanceServiceStub(channel)
        self.artifacts = artifacts_pb2_grpc.ArtifactServiceStub(channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.deployments = deployments_pb2_grpc.DeploymentServiceStub(channel)
        self.events = events_pb2_grpc.EventServiceStub(channel)
        self.stages = stages_pb2_grpc.StageServiceStub(channel)
        self.catalogue = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        self.evidence = evidence_pb2_grpc.EvidenceServiceStub(channel)
        self.lineage = lineage_pb2_grpc.LineageServiceStub(channel)
        self.webhooks = webhooks_pb2_grpc.WebhookServiceStub(channel)

    def close(self) -> None:
        self.channel.close()


class _Details(grpc.ClientCallDetails):
    def __init__(self, details, metadata) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class WithToken(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the bearer token to every call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation, details, request):
        return continuation(_Details(details, [*(details.metadata or ()), self._header]), request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call
    intercept_stream_unary = _call
    intercept_stream_stream = _call


@contextlib.contextmanager
def running(
    settings: Mapping[str, str] | None = None, failpoints: str = "", program: str = PROGRAM
) -> Iterator[RegistryServer]:
    """A server on SQLite and a directory, or whatever the settings say; killed afterwards."""
    with tempfile.TemporaryDirectory(prefix="registry-") as directory:
        server = RegistryServer(Path(directory) / "data", settings or {}, failpoints, program)
        try:
            yield server.start()
        finally:
            server.kill()


@functools.cache
def secrets_key_file() -> str:
    """A key that secrets of webhooks are sealed with, the same for every server of this process."""
    path = Path(tempfile.mkdtemp(prefix="mreg-key-")) / "secrets.key"
    path.write_text(base64.b64encode(os.urandom(32)).decode())
    path.chmod(0o600)
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return str(path)


def distributed(postgres_url: str, bucket: Bucket) -> dict[str, str]:
    """Settings of a server on PostgreSQL, its schema upgraded, and an S3 bucket."""
    schema.upgrade(postgres_url)
    return {
        "database_url": postgres_url,
        "artifact_store": "s3",
        "s3_endpoint": bucket.endpoint,
        "s3_access_key": bucket.access_key,
        "s3_secret_key": bucket.secret_key,
        "s3_bucket": bucket.name,
        "s3_secure": "false",
        "secrets_key_file": secrets_key_file(),
    }
