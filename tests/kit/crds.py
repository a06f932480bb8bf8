"""CRDs of others, as their own releases have them: files of their Go modules."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_KSERVE = "github.com/kserve/kserve@v0.15.2"
_FILES = {
    _OPERATOR: [
        f"example/prometheus-operator-crd/monitoring.coreos.com_{name}.yaml"
        for name in ("podmonitors", "prometheusrules", "servicemonitors")
    ],
    _KSERVE: ["config/crd/full/serving.kserve.io_clusterstoragecontainers.yaml"],
}


def crds() -> Iterator[dict]:
    """All that the chart makes objects of."""
    for module, files in _FILES.items():
        done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in files:
            yield yaml.safe_load((Path(json.loads(done.stdout)["Dir"]) / name).read_text())
