"""A real Kubernetes API for tests: etcd and kube-apiserver, with RBAC, and nothing that runs pods.

No controller-manager and no kubelet run: what a test writes stays as it is written. A test plays the rollout by
patching the status of a workload.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from _services import KubernetesServices, places  # noqa: E402 -- needs the path above
from tests.kit.engines import private_directory  # noqa: E402 -- as above

__all__ = ["KubernetesServices", "places", "private_kubernetes"]


@contextlib.contextmanager
def private_kubernetes() -> Iterator[KubernetesServices]:
    """Yield a running, empty cluster; `apiserver.kubeconfig` opens it to kubectl and helm."""
    with private_directory() as directory:
        services = KubernetesServices(directory)
        services.start()
        try:
            yield services
        finally:
            services.apiserver.kill()
            services.etcd.kill()
