"""Writing into targets: server-side apply of the fields of ours, and giving them up without a change."""

from __future__ import annotations

import hashlib

from registry_grpc.controller.kube import Kube, KubeError, Object, Resource
from registry_grpc.controller.patches import PatchError, patched
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.plan import Fault
from registry_grpc.controller.queue import Key
from registry_grpc.controller.spec import API_VERSION, KIND, Spec, Target

MANAGER = "mreg-controller"
_MOST_MANAGER = 128
_CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _INVALID = 400, 403, 404, 409, 422


def manager_of(key: Key) -> str:
    """The field manager of a ModelDeployment; each has its own, so that two of one target do not undo each other."""
    name = f"{MANAGER}.{key.name}"
    return name if len(name) <= _MOST_MANAGER else f"{MANAGER}.{hashlib.sha256(key.name.encode()).hexdigest()}"


class Targets:
    """The objects that are written to."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def look(self, key: Key, target: Target) -> Object | Fault:
        """The target as it is.

        Raises: KubeError when nobody answers.
        """
        try:
            return self._kube.get(self._kube.resource(target.api_version, target.kind), key.namespace, target.name)
        except KubeError as error:
            return _fault(error, f"{target.kind} {target.name}")

    def write(self, key: Key, spec: Spec, target: Target, found: Object, pin: Pin) -> Object | Fault:
        """The target with the version in it; the same as before when it is there already.

        Raises: KubeError when nobody answers.
        """
        try:
            body = patched(spec.patches, pin)
        except PatchError as error:
            return Fault("InvalidSpec", str(error))
        # The uid: a target that was deleted meanwhile is not made again, from a few fields of it.
        metadata = {"name": target.name, "namespace": key.namespace, "uid": found["metadata"]["uid"]}
        body |= {"apiVersion": target.api_version, "kind": target.kind}
        body["metadata"] = body.get("metadata", {}) | metadata
        resource = self._kube.resource(target.api_version, target.kind)
        try:
            return self._kube.apply(resource, key.namespace, body, manager=manager_of(key), force=spec.force)
        except KubeError as error:
            return _fault(error, f"{target.kind} {target.name}")

    def tell(self, key: Key, spec: Spec, uid: str, pin: Pin) -> Fault | None:
        """Write the version into the ConfigMap of the spec, which is made on demand and goes with its ModelDeployment.

        Raises: KubeError when nobody answers.
        """
        owner = {"apiVersion": API_VERSION, "kind": KIND, "name": key.name, "uid": uid}
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": spec.config_map, "namespace": key.namespace, "ownerReferences": [owner]},
            "data": pin.variables(),
        }
        try:
            self._kube.apply(_CONFIG_MAP, key.namespace, body, manager=manager_of(key), force=spec.force)
        except KubeError as error:
            return _fault(error, f"ConfigMap {spec.config_map}")
        return None

    def let_go(self, key: Key, target: Target) -> bool:
        """Give up the fields of a target, which stay as they are; whether there is one.

        Raises: KubeError when nobody answers, or somebody wrote to it in between.
        """
        found = self.look(key, target)
        if isinstance(found, Fault):
            return False
        metadata = found["metadata"]
        others = [each for each in metadata.get("managedFields", ()) if each.get("manager") != manager_of(key)]
        if len(others) < len(metadata.get("managedFields", ())):
            # An apply without the fields would take them out of the object; its list of owners without us does not.
            body = {"metadata": {"managedFields": others, "resourceVersion": metadata["resourceVersion"]}}
            self._kube.merge(self._kube.resource(target.api_version, target.kind), key.namespace, target.name, body)
        return True


def _fault(error: KubeError, what: str) -> Fault:
    """What stands in the way for longer. Raises: `error`, when that will pass."""
    reasons = {
        _NOT_FOUND: "TargetNotFound",
        _FORBIDDEN: "Forbidden",
        _CONFLICT: "Conflict",
        _INVALID: "Rejected",
        _BAD_REQUEST: "Rejected",
    }
    if error.status not in reasons:
        raise error
    return Fault(reasons[error.status], f"{what}: {error.message}")
