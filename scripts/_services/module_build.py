"""Tools that `go install` cannot make: built in the sources of one release, with the locks that are there."""

import json
from collections.abc import Callable
from pathlib import Path

_HELM = "helm.sh/helm/v3"
_KUBERNETES = "37"
"""Minor version of the Kubernetes libraries in it: what `helm template` and `helm lint` take a cluster for."""
_STAMPS = {
    "internal/version.version": "v3.22.0",
    "pkg/chartutil.k8sVersionMajor": "1",
    "pkg/chartutil.k8sVersionMinor": _KUBERNETES,
    "pkg/lint/rules.k8sVersionMajor": "1",
    "pkg/lint/rules.k8sVersionMinor": _KUBERNETES,
}
MODULES = {
    # Its command is called `cmd`.
    "compose-spec": "github.com/compose-spec/compose-go/v2@v2.16.2",
    # Without the stamps it takes every cluster for 1.20.
    "helm": f"{_HELM}@{_STAMPS['internal/version.version']}",
    # It replaces a module, which `go install` refuses.
    "helm-unittest": "github.com/helm-unittest/helm-unittest@v1.1.2",
}
_PACKAGES = {"compose-spec": "./cmd"}
Run = Callable[[list[str], Path], str]
"""Runs a command in a directory; returns what it printed."""


def build(name: str, scratch: Path, run: Run) -> None:
    """Put the binary `name` into `scratch`."""
    found = json.loads(run(["go", "mod", "download", "-json", MODULES[name]], scratch))
    flags = " ".join(["-s", "-w", *(f"-X {_HELM}/{key}={value}" for key, value in _STAMPS.items())])
    command = ["nice", "-n", "15", "go", "build", "-trimpath", "-ldflags", flags]
    run([*command, "-o", str(scratch / name), _PACKAGES.get(name, f"./cmd/{name}")], Path(found["Dir"]))
