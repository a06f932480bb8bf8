"""A real `mreg controller` in a process of its own, as a service account with the rights of the chart and no others."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry_grpc.client import Registry
from registry_grpc.controller.kube import Kube
from registry_grpc.controller.reconciler import DEPLOYMENTS
from registry_grpc.controller.spec import API_VERSION, KIND
from tests.kit.cluster import (
    ACCOUNTS,
    NAMESPACES,
    WITHIN_S,
    WORKLOADS,
    admin_of,
    is_there,
    permit,
    service_account_token,
)
from tests.kit.kubernetes import KubernetesServices, places
from tests.kit.server import RegistryServer
from tests.kit.waiting import until

PERMISSIONS = ("stages.resolve", "events.watch", "deployments.report", "deployments.retire", "signatures.list")
"""What the controller needs in the registry; docs/kubernetes.md tells people to give it these."""


@dataclass
class Controller:
    """A controller process; its identity in both worlds is that of its own namespace."""

    kubeconfig: Path
    token_file: Path
    endpoint: str
    directory: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    metrics_port: int = 0

    @property
    def log(self) -> str:
        return (self.directory / "controller.log").read_text()

    def start(self) -> "Controller":
        self.metrics_port = places.free_port()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
        given = ["--endpoint", self.endpoint, "--token-file", str(self.token_file), "--insecure"]
        listen = f"--metrics-listen=127.0.0.1:{self.metrics_port}"
        command = [*given, "controller", f"--kubeconfig={self.kubeconfig}", listen, "--cluster=test", *self.options]
        with (self.directory / "controller.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from registry_grpc.cli.app import main; main()", *command],
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout_s)


@dataclass
class Space:
    """A namespace of a test's own, with a controller for it."""

    kube: Kube
    cluster: KubernetesServices
    namespace: str
    registry: Registry
    server: RegistryServer
    directory: Path
    controllers: list[Controller] = field(default_factory=list)

    def controller(self, *options: str, start: bool = True) -> Controller:
        """A new controller, as the one service account of this namespace; killed with the test."""
        directory = self.directory / f"controller-{len(self.controllers)}"
        directory.mkdir()
        made = Controller(
            kubeconfig_of(self, "mreg-controller", directory),
            registry_token(self.registry, self.namespace, directory),
            self.server.endpoint,
            directory,
            ("--no-leader-elect", f"--namespace={self.namespace}", *options),
        )
        self.controllers.append(made)
        return made.start() if start else made

    def push(self, model: str, text: str, *, stage: str = "production"):
        """A version with these bytes, in a stage unless that is empty."""
        path = self.directory / "weights.bin"
        path.write_text(text)
        version = self.registry.push(model, path)
        if stage:
            self.promote(version, stage)
        return version

    def promote(self, version, stage: str = "production") -> None:
        """Through staging, as the stages of a new project want it."""
        for each in ("staging", stage) if stage == "production" else (stage,):
            self.registry.promote(version.location, each)

    def workload(self, name: str, kind: str = "Deployment", **template):
        """A workload, made by somebody else than the controller."""
        body = {"apiVersion": WORKLOADS[kind].api_version, "kind": kind, "metadata": {"name": name}}
        if kind == "InferenceService":
            body["spec"] = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
        else:
            pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "server", "image": "x:1"}]}}
            body["spec"] = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pod | template}
        if kind == "StatefulSet":
            body["spec"]["serviceName"] = name
        return self.kube.create(WORKLOADS[kind], self.namespace, body)

    def deploy(self, name: str, kind: str | None = "Deployment", **spec):
        """A ModelDeployment of the model `name`, for the workload of that name; `spec` says what else, or otherwise."""
        given = {"model": name, "stage": "production", "interval": "5s"}
        if kind is not None:
            given["target"] = {"apiVersion": WORKLOADS[kind].api_version, "kind": kind, "name": name}
        wanted = {key: value for key, value in (given | spec).items() if value is not None}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": wanted}
        return self.kube.create(DEPLOYMENTS, self.namespace, body)

    def change(self, name: str, **spec):
        """Fields of the spec of a ModelDeployment, changed."""
        return self.kube.merge(DEPLOYMENTS, self.namespace, name, {"spec": spec})

    def deployment(self, name: str):
        """A ModelDeployment as it is."""
        return self.kube.get(DEPLOYMENTS, self.namespace, name)

    def found(self, name: str, kind: str = "Deployment"):
        """A workload as it is."""
        return self.kube.get(WORKLOADS[kind], self.namespace, name)

    def exists(self, name: str, kind: str) -> bool:
        """Whether there is such a workload or ConfigMap."""
        return is_there(self.kube, WORKLOADS[kind], self.namespace, name)

    def uri(self, name: str, kind: str = "Deployment") -> str:
        """What is written into a workload; empty when nothing is."""
        spec = self.found(name, kind)["spec"]
        if kind == "InferenceService":
            return spec["predictor"]["model"].get("storageUri", "")
        annotations = spec["template"]["metadata"].get("annotations", {})
        return annotations.get("serving.registrygrpc.dev/uri", "")

    def condition(self, name: str, kind: str = "Ready"):
        """Status, reason and message of a condition; None as long as there is none."""
        conditions = self.deployment(name).get("status", {}).get("conditions", [])
        found = next((each for each in conditions if each["type"] == kind), None)
        return found and (found["status"], found["reason"], found["message"])

    def until_applied(self, name: str, version, kind: str = "Deployment", within_s: float = WITHIN_S) -> None:
        """Wait until a version is written into a workload."""
        until(lambda: self.uri(name, kind) == version.location, within_s)

    def until_condition(self, name: str, reason: str, kind: str = "Ready") -> str:
        """Wait for a reason; the message that comes with it."""
        until(lambda: (self.condition(name, kind) or ("", ""))[1] == reason, WITHIN_S, every_s=0.05)
        return self.condition(name, kind)[2]

    def roll_out(self, name: str, kind: str = "Deployment") -> None:
        """Say, as the controller of that kind would, that the workload runs what it is to run."""
        found = self.found(name, kind)
        status = {"observedGeneration": found["metadata"]["generation"], "replicas": 1, "readyReplicas": 1}
        status |= {"updatedReplicas": 1, "availableReplicas": 1, "conditions": []}
        self.kube.merge(WORKLOADS[kind], self.namespace, name, {"status": status}, "status")

    def fail(self, name: str, message: str = "pods crash") -> None:
        """Say, as the deployment controller would, that the rollout of a Deployment does not get on."""
        found = self.found(name)
        condition = {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": message,
        }
        status = {"observedGeneration": found["metadata"]["generation"], "replicas": 2, "updatedReplicas": 1}
        status |= {"readyReplicas": 1, "availableReplicas": 1, "conditions": [condition]}
        self.kube.merge(WORKLOADS["Deployment"], self.namespace, name, {"status": status}, "status")

    def events(self, name: str) -> list[tuple[str, str]]:
        """Type and reason of the Kubernetes events about a ModelDeployment."""
        found, _ = self.kube.list(WORKLOADS["Event"], self.namespace)
        return [(each["type"], each["reason"]) for each in found if each["regarding"]["name"] == name]


@contextlib.contextmanager
def space(cluster: KubernetesServices, server: RegistryServer, directory: Path) -> Iterator[Space]:
    """An empty namespace, and a registry client; controllers made in it are killed afterwards."""
    kube = admin_of(cluster)
    name = f"t-{uuid.uuid4().hex[:12]}"
    kube.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mreg-controller"}}
    kube.create(ACCOUNTS, name, account)
    permit(kube, name, name)
    with Registry(server.endpoint, token=server.token, cache_dir=directory / "cache") as registry:
        made = Space(kube, cluster, name, registry, server, directory)
        try:
            yield made
        finally:
            for each in made.controllers:
                each.kill()


def kubeconfig_of(space: Space, account: str, directory: Path) -> Path:
    """A kubeconfig with a token of a service account."""
    token = service_account_token(space.kube, space.namespace, account)
    admin = json.loads(space.cluster.apiserver.kubeconfig.read_text())
    admin["users"] = [{"name": "admin", "user": {"token": token}}]
    admin["contexts"][0]["context"]["namespace"] = space.namespace
    path = directory / "kubeconfig"
    path.write_text(json.dumps(admin))
    return path


def registry_token(registry: Registry, account: str, directory: Path) -> Path:
    """A token file of a service account of the registry that may do what a controller needs."""
    path = directory / "token"
    if f"roles/{account}" not in {each.name for each in registry.list_roles()}:
        registry.create_role(account, PERMISSIONS)
        registry.create_service_account(account)
        registry.create_role_binding(f"roles/{account}", [f"serviceAccount:default/{account}"])
    path.write_text(registry.issue_token(account).secret)
    path.chmod(0o600)
    return path
