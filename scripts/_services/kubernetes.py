"""A private Kubernetes API: etcd and kube-apiserver on loopback ports, without anything that runs pods."""

import http.client
import json
import os
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from _services import places, tools
from _services.engine import Engine, EngineError

_PORTS = "ports.json"


class Etcd(Engine):
    """etcd with one member, plain HTTP."""

    name = "etcd"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Make the directory at the first start."""
        self.directory.mkdir(parents=True, exist_ok=True)

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Start it; the peer port is of no use and is chosen by the kernel."""
        command: list[str | Path] = [
            tools.find("etcd"),
            f"--data-dir={self.directory / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            "--listen-peer-urls=http://127.0.0.1:0",
        ]
        return _spawn(command, self.directory, log)

    def is_ready(self) -> bool:
        """Ask for its health."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:  # noqa: S310 -- ours
                return b'"true"' in answer.read()
        except (urllib.error.URLError, http.client.HTTPException):
            return False


class KubeApiserver(Engine):
    """kube-apiserver over that etcd, with RBAC. The administrator is known by a token made at the first start."""

    name = "kube-apiserver"

    def __init__(self, directory: Path, port: int, etcd: Etcd) -> None:
        super().__init__(directory, port)
        self._etcd = etcd

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The token of a member of system:masters."""
        return (self.directory / "tokens.csv").read_text().partition(",")[0]

    @property
    def ca_file(self) -> Path:
        """What vouches for the server: its own certificate, with the authority it made for it."""
        return self.directory / "certs" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the administrator."""
        return self.directory / "kubeconfig"

    def prepare(self) -> None:
        """Make the token at the first start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "tokens.csv").exists():
            line = f'{secrets.token_hex(20)},admin,admin,"system:masters"\n'
            places.write_secret(self.directory / "tokens.csv", line)

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Start it. It makes its certificate itself, and signs the tokens of service accounts with that key."""
        certificates = self.directory / "certs"
        command: list[str | Path] = [
            tools.find("kube-apiserver"),
            f"--etcd-servers={self._etcd.url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={certificates}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={certificates / 'apiserver.key'}",
            f"--service-account-signing-key-file={certificates / 'apiserver.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Nobody here is the service `kubernetes`, and a loopback address may not be an endpoint.
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
        ]
        return _spawn(command, self.directory, log)

    def is_ready(self) -> bool:
        """Ask /readyz as the administrator; writes the kubeconfig when it is."""
        if not self.ca_file.exists():
            return False
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"})  # noqa: S310 -- ours
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=5, context=trust) as answer:  # noqa: S310 -- ours
                ready: bool = answer.status == http.client.OK
        except (urllib.error.URLError, http.client.HTTPException):
            return False
        places.write_secret(self.kubeconfig, json.dumps(self._kubeconfig()))
        return ready

    def _kubeconfig(self) -> dict[str, object]:
        """Of the administrator; JSON is YAML."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "default"}}],
            "current-context": "test",
        }


class KubernetesServices:
    """The pair of them in one directory. Not for concurrent use: callers lock."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or places.run_directory() / "kubernetes"
        self.directory.mkdir(parents=True, exist_ok=True)
        ports = self._ports()
        self.etcd = Etcd(self.directory / "etcd", ports.get("etcd", 0))
        self.apiserver = KubeApiserver(self.directory / "apiserver", ports.get("apiserver", 0), self.etcd)

    def start(self, timeout_s: float = 120) -> None:
        """Start what does not run, and return once the API answers. Raises EngineError."""
        if self.running():
            return
        self.apiserver.stop()
        # What takes minutes on a machine that never had them is no part of the time to start in.
        for tool in ("etcd", "kube-apiserver"):
            tools.find(tool)
        for engine in (self.etcd, self.apiserver):
            if not engine.is_running():
                engine.port = places.free_port()
                engine.start(timeout_s)
        ports = {"etcd": self.etcd.port, "apiserver": self.apiserver.port}
        (self.directory / _PORTS).write_text(json.dumps(ports))

    def stop(self) -> None:
        """Stop both; what they hold stays for the next start."""
        for engine in (self.apiserver, self.etcd):
            engine.stop()

    def running(self) -> bool:
        """Tell whether both processes live."""
        return self.etcd.is_running() and self.apiserver.is_running()

    def environment(self) -> dict[str, str]:
        """The variables that tell kubectl and helm where it is. Raises EngineError when it does not run."""
        if not self.running():
            message = "kubernetes: not running; scripts/services kubernetes start"
            raise EngineError(message)
        return {"KUBECONFIG": str(self.apiserver.kubeconfig)}

    def _ports(self) -> dict[str, int]:
        try:
            ports: dict[str, int] = json.loads((self.directory / _PORTS).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return ports


def _spawn(command: list[str | Path], directory: Path, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=directory,
        env={"HOME": str(directory), "PATH": os.environ.get("PATH", "")},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
