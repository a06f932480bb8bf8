"""A promotion in the registry rolls the workload, pinned by digest, and the registry hears of it."""

import time

import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.client import Registry
from registry_grpc.controller.metrics import ControllerMetrics
from registry_grpc.controller.queue import Key
from registry_grpc.controller.reconciler import Reconciler, Where
from registry_grpc.controller.recorder import Recorder
from registry_grpc.controller.source import Source
from tests.kit.cluster import WORKLOADS
from tests.kit.waiting import metric, until

PROMOTIONS = 50
LIMIT_S = 2.0
"""From the answer to PromoteVersion to the pod template, the slowest of all."""


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "InferenceService"])
def test_a_promotion_is_written_into_the_target(here, kind):
    model = f"into-{kind.lower()}"
    first = here.push(model, "one")
    here.workload(model, kind)
    here.deploy(model, kind)
    here.controller()
    here.until_applied(model, first, kind)
    second = here.push(model, "two")
    here.until_applied(model, second, kind)
    until(lambda: here.deployment(model)["status"]["history"][0]["version"] == 2, 10)
    applied = here.deployment(model)["status"]["applied"]
    assert (applied["digest"], applied["uri"]) == (second.manifest_digest, second.location)


def test_fifty_promotions_reach_the_pod_template_each_in_time(here, record_property):
    model = "fast"
    versions = [here.push(model, f"weights {at}", stage="staging") for at in range(PROMOTIONS)]
    here.workload(model)
    here.deploy(model, interval="1h")
    here.controller()
    here.until_condition(model, "StageVacant")
    taken = []
    for version in versions:
        here.registry.promote(version.location, "staging")
        here.registry.promote(version.location, "production")
        began = time.monotonic()
        here.until_applied(model, version, within_s=20)
        taken.append(time.monotonic() - began)
    taken.sort()
    record_property("seconds", taken)
    print(f"\npromotion to pod template: median {taken[25]:.3f} s, largest {taken[-1]:.3f} s of {PROMOTIONS}")
    assert taken[-1] < LIMIT_S, taken


def test_the_pods_learn_the_version_from_annotations_and_nothing_else_changes(here):
    version = here.push("annotated", "one")
    before = here.workload("annotated")
    here.deploy("annotated")
    here.controller()
    here.until_applied("annotated", version)
    after = here.found("annotated")
    annotations = after["spec"]["template"]["metadata"].pop("annotations")
    assert annotations == {
        "serving.registrygrpc.dev/uri": version.location,
        "serving.registrygrpc.dev/version": "1",
        "serving.registrygrpc.dev/digest": version.manifest_digest,
        "serving.registrygrpc.dev/model": "annotated",
    }
    assert after["spec"] == before["spec"]
    managers = {each["manager"]: each for each in after["metadata"]["managedFields"]}
    assert managers["mreg-controller.annotated"]["operation"] == "Apply"


def test_patches_say_where_it_goes(here):
    version = here.push("patched", "one")
    here.workload("patched")
    place = "spec.template.spec.containers[name=server].env[name=MODEL].value"
    here.deploy(
        "patched",
        patches=[
            {"fieldPath": place, "value": "${uri}"},
            {"fieldPath": "metadata.labels['serving/version']", "value": "v${version}"},
        ],
    )
    here.controller()
    found = until(lambda: (at := here.found("patched"))["metadata"].get("labels") and at, 30)
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "MODEL", "value": version.location}]
    assert container["image"] == "x:1"
    assert found["metadata"]["labels"] == {"serving/version": "v1"}


def test_a_deployment_record_appears_and_drift_clears(here):
    model = "recorded"
    here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    here.controller("--environment=prod-eu")

    def record():
        return next((each for each in here.registry.deployments.list(model)), None)

    def serves(number):
        found = record()
        return found and found.version.endswith(f"/versions/{number}") and found.state == 3

    until(lambda: record() and record().state == 2, 30)
    here.roll_out(model)
    until(lambda: serves(1), 30)
    place = record()
    assert (place.environment, place.cluster, place.namespace) == ("prod-eu", "test", here.namespace)
    assert (place.workload, place.stage) == (f"Deployment/{model}", "production")
    second = here.push(model, "two", stage="staging")
    assert not [*here.registry.deployments.drift(model)]
    here.registry.promote(second.location, "production")
    until(lambda: record().version.endswith("/versions/2"), 30)
    here.roll_out(model)
    until(lambda: serves(2), 30)
    assert record().manifest_digest == second.manifest_digest
    assert not [*here.registry.deployments.drift(model)]
    runs = [each.version.rpartition("/")[2] for each in here.registry.deployments.runs(model)]
    assert runs == ["2", "1"]


def test_drift_shows_while_a_rollout_is_held_and_clears_after_it(here):
    model = "drifting"
    here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    here.controller()
    until(lambda: [*here.registry.deployments.list(model)], 30)
    here.change(model, suspend=True)
    here.until_condition(model, "Suspended", "Applied")
    second = here.push(model, "two")
    drift = until(lambda: [*here.registry.deployments.drift(model)], 30)
    assert drift[0].desired_version == second.name
    here.change(model, suspend=False)
    until(lambda: not [*here.registry.deployments.drift(model)], 30)


def test_a_version_can_be_named_instead_of_a_stage(here):
    model = "fixed"
    first = here.push(model, "one", stage="")
    here.push(model, "two")
    here.workload(model)
    here.deploy(model, stage=None, version=1, digest=first.manifest_digest)
    here.controller()
    here.until_applied(model, first)


def test_a_target_that_comes_later_is_written_to_when_it_is_there(here):
    model = "early"
    version = here.push(model, "one")
    here.deploy(model, interval="1h")
    here.controller()
    here.until_condition(model, "TargetNotFound", "Applied")
    here.workload(model)
    here.until_applied(model, version)


def test_what_was_written_over_is_repaired_and_nothing_is_made_twice(here):
    model = "repaired"
    version = here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    here.controller()
    here.until_applied(model, version)
    gone = {"spec": {"template": {"metadata": {"annotations": {"serving.registrygrpc.dev/uri": None}}}}}
    here.kube.merge(WORKLOADS["Deployment"], here.namespace, model, gone)
    here.until_applied(model, version)
    here.roll_out(model)
    here.until_condition(model, "Serving")
    status = here.deployment(model)["status"]
    assert len(status["history"]) == 1
    assert status["lastGood"]["version"] == 1


def test_a_heartbeat_speaks_for_what_runs_and_finds_out_what_to_report_anew(here):
    model = "beating"
    here.push(model, "one")
    here.workload(model)
    found = here.deploy(model)
    metrics = ControllerMetrics(CollectorRegistry())
    source = Source(lambda project: Registry(here.server.endpoint, token=here.server.token, project=project))
    reconciler = Reconciler(here.kube, source, Recorder(here.kube, "test"), metrics, Where("prod", "test"))
    key = Key(here.namespace, model)
    reconciler.reconcile(key, found)
    reported = next(iter(here.registry.deployments.list(model)))
    assert reconciler.beat() == []
    assert (
        here.registry.deployments.get(reported).heartbeat_time.ToNanoseconds() > reported.heartbeat_time.ToNanoseconds()
    )
    here.registry.deployments.retire(reported)
    assert reconciler.beat() == [key]
    reconciler.reconcile(key, here.deployment(model))
    assert [each.name for each in here.registry.deployments.list(model)] == [reported.name]
    reconciler.forget(key)
    assert reconciler.beat() == []
    source.close()


def test_metrics_and_probes_are_served(here):
    model = "measured"
    version = here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    controller = here.controller()
    here.until_applied(model, version)
    until(lambda: metric(controller.metrics_port, "registry_controller_reconciles_total", result="done") > 0, 10)
    assert metric(controller.metrics_port, "registry_controller_leader") == 1
    assert metric(controller.metrics_port, "registry_controller_deployments") == 1
    assert metric(controller.metrics_port, "registry_controller_rollouts_total", event="begun") == 1
