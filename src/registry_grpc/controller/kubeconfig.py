"""Where the Kubernetes API is and who we are there: as a pod by its service account, else by a kubeconfig."""

from __future__ import annotations

import atexit
import base64
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE = "default"


class KubeconfigError(Exception):
    """There is no cluster to be found, or a form of access that is not supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach one cluster. Secrets stay out of `repr`."""

    server: str
    namespace: str
    ca_file: Path | None = None
    ca_data: str = ""
    """PEM; wins over the file."""
    token_file: Path | None = None
    """Read anew for every call: the kubelet renews it."""
    _token: str = ""
    client_cert: Path | None = None
    client_key: Path | None = None

    def __repr__(self) -> str:
        return f"Access({self.server!r}, namespace={self.namespace!r})"

    def token(self) -> str:
        """The bearer token; empty when a certificate says who we are.

        Raises: OSError when the file is gone.
        """
        return self.token_file.read_text().strip() if self.token_file else self._token


def load_access(kubeconfig: Path | None = None, environment: Mapping[str, str] = os.environ) -> Access:
    """The kubeconfig given, else `KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

    Raises: KubeconfigError.
    """
    chosen = kubeconfig or (Path(environment["KUBECONFIG"]) if environment.get("KUBECONFIG") else None)
    if chosen is None and environment.get("KUBERNETES_SERVICE_HOST"):
        return _in_pod(environment)
    return _from_file(chosen or Path.home() / ".kube" / "config")


def _in_pod(environment: Mapping[str, str]) -> Access:
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = SERVICE_ACCOUNT / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else DEFAULT_NAMESPACE,
        ca_file=SERVICE_ACCOUNT / "ca.crt",
        token_file=SERVICE_ACCOUNT / "token",
    )


def _from_file(path: Path) -> Access:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"no cluster: this is no pod, and {path}: {error}") from None
    context = _named(found, "context", found.get("current-context", ""), path)
    cluster = _named(found, "cluster", context["cluster"], path)
    user = _named(found, "user", context["user"], path)
    if "exec" in user or "auth-provider" in user or cluster.get("insecure-skip-tls-verify"):
        raise KubeconfigError(
            f"{path}: exec, auth-provider and insecure-skip-tls-verify are not supported; use a token or certificate, "
            "e.g. one of `kubectl create token`"
        )
    cert, key = (_material(user, f"client-{each}", path) for each in ("certificate", "key"))
    return Access(
        server=cluster["server"],
        namespace=context.get("namespace") or DEFAULT_NAMESPACE,
        ca_file=_file(cluster, "certificate-authority", path),
        ca_data=_decoded(cluster.get("certificate-authority-data", "")),
        token_file=_file(user, "tokenFile", path),
        _token=user.get("token", ""),
        client_cert=cert,
        client_key=key,
    )


def _named(found: Mapping[str, Any], kind: str, name: str, path: Path) -> dict[str, Any]:
    for each in found.get(f"{kind}s") or ():
        if each.get("name") == name:
            inner: dict[str, Any] = each[kind]
            return inner
    raise KubeconfigError(f"{path} has no {kind} {name!r}")


def _file(found: Mapping[str, Any], key: str, path: Path) -> Path | None:
    return path.parent / found[key] if found.get(key) else None


def _material(user: Mapping[str, Any], key: str, path: Path) -> Path | None:
    """The file of a certificate or key; one of our own, for this process, when the kubeconfig has it in itself.

    TLS of Python takes files alone.
    """
    data = _decoded(user.get(f"{key}-data", ""))
    if not data:
        return _file(user, key, path)
    # Made with 0600.
    descriptor, made = tempfile.mkstemp(prefix="mreg-")
    atexit.register(Path(made).unlink, missing_ok=True)
    with os.fdopen(descriptor, "w") as file:
        file.write(data)
    return Path(made)


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode() if data else ""
