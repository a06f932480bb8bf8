"""What the API server refuses before a controller sees it, and what the controller may not do."""

import json

import pytest
import yaml

from registry_grpc.controller.kube import KubeError, Resource
from registry_grpc.controller.reconciler import DEPLOYMENTS
from tests.kit.cluster import (
    CHART,
    RBAC,
    admin_of,
    delete,
    permit,
    permit_everywhere,
    raw,
    service_account_token,
)
from tests.kit.controllers import space
from tests.kit.server import running
from tests.kit.waiting import until

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}
OTHER_KIND = TARGET | {"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"version": 3}, "give stage or version"),
        ({"stage": None}, "give stage or version"),
        ({"digest": "sha256:" + "0" * 64}, "digest goes with version"),
        ({"stage": None, "version": 1, "digest": "sha256:0"}, "spec.digest"),
        ({"target": None}, "mode Apply needs a target"),
        ({"mode": "Resolve"}, "mode Resolve writes into no target"),
        ({"configMap": {"name": "x"}}, "configMap goes with mode Resolve"),
        ({"mode": "Watch"}, "Unsupported value"),
        ({"target": OTHER_KIND}, "patches are needed"),
        ({"verify": {"signature": "Maybe"}}, "Unsupported value"),
        ({"interval": "1s"}, "at least 5s"),
        ({"interval": "soon"}, "write hours, minutes and seconds"),
        ({"rollout": {"window": {"cron": "* * *", "duration": "1h"}}}, "spec.rollout.window.cron"),
        ({"rollout": {"window": {"cron": "0 2 * * *"}}}, "duration"),
        ({"rollout": {"progressDeadline": ""}}, "write hours, minutes and seconds"),
        ({"project": "No Project"}, "spec.project"),
        ({"model": "../other"}, "spec.model"),
        ({"patches": []}, "spec.patches"),
        ({"patches": [{"fieldPath": "a", "value": "1"}, {"fieldPath": "a", "value": "2"}]}, "Duplicate value"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(here, spec, said):
    with pytest.raises(KubeError) as refused:
        here.deploy("fraud", **spec)
    assert refused.value.status == 422
    assert said in refused.value.message


def test_a_target_cannot_be_changed(here):
    here.deploy("fraud")
    with pytest.raises(KubeError) as refused:
        here.change("fraud", target=TARGET | {"name": "other"})
    assert "target cannot be changed" in refused.value.message


def test_a_small_spec_gets_sound_defaults(here):
    body = {"model": "fraud", "stage": "production", "target": TARGET, "interval": None}
    spec = here.deploy("fraud", **body)["spec"]
    assert spec == {
        "project": "default",
        "model": "fraud",
        "stage": "production",
        "mode": "Apply",
        "target": TARGET,
        "verify": {"signature": "IfPresent"},
        "interval": "30s",
        "suspend": False,
        "force": False,
    }


def test_the_table_shows_what_people_look_for(here):
    version = here.push("shown", "one")
    here.workload("shown")
    here.deploy("shown")
    here.controller()
    here.until_applied("shown", version)
    here.roll_out("shown")
    here.until_condition("shown", "Serving")
    crd = yaml.safe_load((CHART / "crds" / "modeldeployments.yaml").read_text())
    columns = [each["name"] for each in crd["spec"]["versions"][0]["additionalPrinterColumns"]]
    table = raw(here.kube, DEPLOYMENTS.path(here.namespace), "application/json;as=Table;v=v1;g=meta.k8s.io")
    names = [each["name"] for each in table["columnDefinitions"]]
    row = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert names == ["Name", *columns]
    assert (row["Model"], row["Stage"], row["Wanted"], row["Applied"]) == ("shown", "production", 1, 1)
    assert (row["Ready"], row["Reason"]) == ("True", "Serving")


def test_the_rules_of_the_chart_give_nothing_else(here):
    """Every test runs the controller with these rules; here is what they must not give."""
    review = Resource("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)

    def may(verb, resource, group="", subresource=""):
        attributes = {"namespace": here.namespace, "verb": verb, "group": group, "resource": resource}
        body = {
            "apiVersion": review.api_version,
            "kind": review.kind,
            "spec": {
                "user": f"system:serviceaccount:{here.namespace}:mreg-controller",
                "resourceAttributes": attributes | ({"subresource": subresource} if subresource else {}),
            },
        }
        return here.kube.create(review, "", body)["status"]["allowed"]

    assert may("patch", "deployments", "apps")
    for verb in ("create", "delete", "update"):
        assert not may(verb, "deployments", "apps")
    for verb in ("get", "list", "watch"):
        assert not may(verb, "secrets")
        assert not may(verb, "configmaps")
    assert not may("create", "pods")
    assert not may("get", "leases", "coordination.k8s.io") or may("update", "leases", "coordination.k8s.io")
    assert not may("patch", "deployments", "apps", "scale")
    assert not may("create", "modeldeployments", "serving.registrygrpc.dev")
    assert not may("escalate", "roles", "rbac.authorization.k8s.io")


def test_one_controller_follows_several_namespaces(cluster, shared_server, here, tmp_path):
    (tmp_path / "second").mkdir()
    with space(cluster, shared_server, tmp_path / "second") as there:
        permit_again(there, here)
        first, second = here.push("everywhere", "one"), None
        for each in (here, there):
            each.workload("everywhere")
            each.deploy("everywhere")
        here.controller(f"--namespace={there.namespace}")
        here.until_applied("everywhere", first)
        there.until_applied("everywhere", first)
        second = here.push("everywhere", "two")
        here.until_applied("everywhere", second)
        there.until_applied("everywhere", second)
        until(lambda: len([*here.registry.deployments.list("everywhere")]) == 2, 30)


def permit_again(there, here):
    """The controller of `here` in the namespace of `there`."""
    for kind in ("RoleBinding", "Role"):
        delete(there.kube, Resource(RBAC, kind, f"{kind.lower()}s"), there.namespace, "mreg-controller")
    permit(there.kube, there.namespace, here.namespace, ("workloads",))


def test_a_projected_token_is_all_the_identity_it_needs(cluster, tmp_path):
    """The registry believes the cluster's tokens, and the controller has no secret of its own."""
    kube = admin_of(cluster)
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(raw(kube, "/openid/v1/jwks", "application/jwk-set+json")))
    issuer = {"id": "k8s", "issuer": "https://kubernetes.default.svc", "audience": "mreg", "jwks_file": str(keys)}
    with running({"issuers": json.dumps([issuer])}) as server, space(cluster, server, tmp_path) as here:
        controller = here.controller(start=False)
        principal = f"user:k8s/system:serviceaccount:{here.namespace}:mreg-controller"
        here.registry.create_role_binding(f"roles/{here.namespace}", [principal])
        token = service_account_token(here.kube, here.namespace, "mreg-controller", "mreg")
        controller.token_file.write_text(token)
        version = here.push("projected", "one")
        here.workload("projected")
        here.deploy("projected")
        controller.start()
        here.until_applied("projected", version)
        until(lambda: [*here.registry.deployments.list("projected")], 30)
        assert next(iter(here.registry.deployments.list("projected"))).reporter == principal


def test_one_controller_can_follow_every_namespace(cluster, server, tmp_path):
    """In cluster mode the rules are those of a ClusterRole; a namespace made later is followed too."""
    with space(cluster, server, tmp_path) as here:
        permit_everywhere(here.kube, here.namespace)
        controller = here.controller(start=False)
        controller.options = ("--no-leader-elect", "--all-namespaces")
        controller.start()
        version = here.push("cluster-wide", "one")
        here.workload("cluster-wide")
        here.deploy("cluster-wide")
        here.until_applied("cluster-wide", version)
        (tmp_path / "later").mkdir()
        with space(cluster, server, tmp_path / "later") as later:
            later.workload("cluster-wide")
            later.deploy("cluster-wide")
            later.until_applied("cluster-wide", version)
