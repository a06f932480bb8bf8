"""The Helm chart as tests see it: what it renders for some values, and what it refuses."""

import atexit
import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.kit.engines import ROOT
from tests.kit.prometheus import tool

CHART = ROOT / "deploy/helm/registry-grpc"
SMALLEST = CHART / "ci/smallest-values.yaml"
PRODUCTION = CHART / "ci/production-values.yaml"
EXAMPLES = (SMALLEST, PRODUCTION)
RELEASE, NAMESPACE = "registry", "models"
Values = Mapping[str, Any]
Manifest = dict[str, Any]


def helm(*arguments: str | Path, given: str = "", kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What helm does with `given` on its standard input; it sees no settings of whoever runs the test."""
    environment = {"HOME": _home(), "PATH": "/usr/bin:/bin"}
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)
    command = [tool("helm"), *arguments]
    return subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)


@functools.cache
def _home() -> str:
    """A home without anything in it, for all of this process."""
    made = tempfile.mkdtemp(prefix="helm-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _template(example: Path | None, values: Values) -> subprocess.CompletedProcess[str]:
    files = [f"--values={example}"] if example else []
    return helm("template", RELEASE, CHART, f"--namespace={NAMESPACE}", *files, "--values=-", given=json.dumps(values))


@functools.cache
def _rendered(example: Path | None, values: str) -> str:
    done = _template(example, json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(example: Path | None = None, values: Values | None = None) -> list[Manifest]:
    """The objects it makes of an example and values on top."""
    text = _rendered(example, json.dumps(values or {}))
    return [each for each in yaml.safe_load_all(text) if each]


def refused(example: Path | None = None, values: Values | None = None) -> str:
    """What it says when it refuses; the test fails when it does not."""
    done = _template(example, values or {})
    assert done.returncode != 0, "nothing was refused"
    return done.stderr


def one(manifests: list[Manifest], kind: str, suffix: str = "") -> Manifest:
    """The only object of this kind whose name ends so."""
    name = f"{RELEASE}-registry-grpc{suffix}"
    [found] = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Spec of each pod, by component."""
    found = {}
    for each in manifests:
        template = each if each["kind"] == "Pod" else each.get("spec", {}).get("template")
        if template and "containers" in template.get("spec", {}):
            found[template["metadata"]["labels"]["app.kubernetes.io/component"]] = template["spec"]
    return found


def environment(container: Manifest) -> dict[str, str]:
    """Variables with a value of their own."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}
