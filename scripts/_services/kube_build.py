"""kube-apiserver and etcd from the sources of one Kubernetes release."""

import json
import re
from collections.abc import Callable
from pathlib import Path

VERSION = "1.34.4"
PACKAGES = {"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver", "etcd": "go.etcd.io/etcd/server/v3"}
"""Tool to Go package; that etcd is the one which this Kubernetes is tested with."""
_MODULE = f"k8s.io/kubernetes@v{VERSION}"
_STAGED = re.compile(r"^\s*(k8s\.io/\S+) => \./staging/", re.MULTILINE)
_GO = re.compile(r"^go (\S+)$", re.MULTILINE)
_STAMPED = "k8s.io/component-base/version"
Run = Callable[[list[str], Path], str]
"""Runs a command in a directory; returns what it printed."""


def build(name: str, scratch: Path, run: Run) -> None:
    """Put the binary `name` into `scratch`.

    `go install` refuses this module, because it replaces its parts by directories of its own repository: a module is
    written here which replaces them by their releases.
    """
    found = json.loads(run(["go", "mod", "download", "-json", _MODULE], scratch))
    module = scratch / "module"
    module.mkdir()
    (module / "go.mod").write_text(_go_mod(Path(found["GoMod"]).read_text()))
    major, minor, _ = VERSION.split(".")
    stamps = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s", "-w", *(f"-X {_STAMPED}.{key}={value}" for key, value in stamps.items())])
    target = str(scratch / name)
    run(["nice", "-n", "15", "go", "build", "-trimpath", "-o", target, "-ldflags", flags, PACKAGES[name]], module)


def _go_mod(of_kubernetes: str) -> str:
    """The module that builds, made from that of Kubernetes; raises ValueError when that looks otherwise."""
    go, staged = _GO.search(of_kubernetes), _STAGED.findall(of_kubernetes)
    if go is None or not staged:
        message = f"go.mod of {_MODULE} has no go line or no staging modules"
        raise ValueError(message)
    release = VERSION.partition(".")[2]
    replaced = "".join(f"\t{name} => {name} v0.{release}\n" for name in staged)
    required = f"require k8s.io/kubernetes v{VERSION}\n"
    return f"module kubernetes.local\n\ngo {go[1]}\n\n{required}\nreplace (\n{replaced})\n"
