"""What a cluster needs before a controller can be tested in it: kinds, rights, tokens."""

import json

import yaml

from registry_grpc.controller.kube import Kube, KubeError, Object, Resource
from registry_grpc.controller.kubeconfig import load_access
from tests.kit.kubernetes import ROOT, KubernetesServices
from tests.kit.waiting import until

CHART = ROOT / "deploy" / "helm" / "registry-grpc"
WITHIN_S = 30.0
APPS, CORE, RBAC = "apps/v1", "v1", "rbac.authorization.k8s.io/v1"
WORKLOADS = {
    "Deployment": Resource(APPS, "Deployment", "deployments"),
    "StatefulSet": Resource(APPS, "StatefulSet", "statefulsets"),
    "InferenceService": Resource("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices"),
    "ConfigMap": Resource(CORE, "ConfigMap", "configmaps"),
    "Event": Resource("events.k8s.io/v1", "Event", "events"),
}
CRDS = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
NAMESPACES = Resource(CORE, "Namespace", "namespaces", namespaced=False)
ACCOUNTS = Resource(CORE, "ServiceAccount", "serviceaccounts")
_NOT_FOUND = 404


def admin_of(cluster: KubernetesServices) -> Kube:
    """The cluster, as its administrator."""
    return Kube(load_access(cluster.apiserver.kubeconfig))


def install_crds(kube: Kube) -> None:
    """Ours from the chart, and of KServe as much as an InferenceService needs to be stored."""
    ours = yaml.safe_load((CHART / "crds" / "modeldeployments.yaml").read_text())
    for crd in (ours, _inference_services()):
        kube.apply(CRDS, "", crd, manager="tests")
        name = crd["metadata"]["name"]
        until(lambda name=name: is_established(kube, name), WITHIN_S)


def is_established(kube: Kube, name: str) -> bool:
    """Whether objects of a custom kind can be made."""
    conditions = kube.get(CRDS, "", name).get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _inference_services():
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": "inferenceservices.serving.kserve.io"},
        "spec": {
            "group": "serving.kserve.io",
            "scope": "Namespaced",
            "names": {"kind": "InferenceService", "plural": "inferenceservices", "singular": "inferenceservice"},
            "versions": [version],
        },
    }


def permit(kube: Kube, namespace: str, of: str, parts: tuple[str, ...] = ("workloads", "lease")) -> None:
    """Let the controller of the namespace `of` do what the chart says in `namespace`."""
    rules = yaml.safe_load((CHART / "files" / "controller-rules.yaml").read_text())
    role = {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": {"name": "mreg-controller"},
        "rules": [rule for part in parts for rule in rules[part]],
    }
    kube.create(Resource(RBAC, "Role", "roles"), namespace, role)
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": "mreg-controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mreg-controller"},
        "subjects": [{"kind": "ServiceAccount", "name": "mreg-controller", "namespace": of}],
    }
    kube.create(Resource(RBAC, "RoleBinding", "rolebindings"), namespace, binding)


def permit_everywhere(kube: Kube, namespace: str) -> None:
    """Let the controller of this namespace do what the chart says in every namespace; its name tells whose it is."""
    rules = yaml.safe_load((CHART / "files" / "controller-rules.yaml").read_text())
    name = {"name": f"mreg-controller-{namespace}"}
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": name, "rules": rules["workloads"]}
    kube.create(Resource(RBAC, "ClusterRole", "clusterroles", namespaced=False), "", role)
    binding = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **name},
        "subjects": [{"kind": "ServiceAccount", "name": "mreg-controller", "namespace": namespace}],
    }
    kube.create(Resource(RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False), "", binding)


def service_account_token(kube: Kube, namespace: str, account: str, *audiences: str) -> str:
    """A token of a service account, as a pod has it projected; for the cluster itself without audiences."""
    spec = {"expirationSeconds": 3600, "audiences": [*audiences]}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    of = Resource(CORE, "TokenRequest", f"serviceaccounts/{account}/token")
    return kube.create(of, namespace, request)["status"]["token"]


def raw(kube: Kube, path: str, accept: str = "application/json") -> Object:
    """What the API server answers to a GET, in another form than that of its objects."""
    url = kube._access.server + path
    return json.loads(kube._pool.request("GET", url, headers=kube._headers() | {"Accept": accept}).data)


def delete(kube: Kube, of: Resource, namespace: str, name: str) -> None:
    """Delete one object."""
    kube._call("DELETE", of.path(namespace, name))


def is_there(kube: Kube, of: Resource, namespace: str, name: str) -> bool:
    """Whether there is such an object."""
    try:
        kube.get(of, namespace, name)
    except KubeError as error:
        if error.status != _NOT_FOUND:
            raise
        return False
    return True
