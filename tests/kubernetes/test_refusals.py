"""What does not come in: other bytes, no signature, the wrong time, and what somebody else decided."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.client import Registry
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.plan import Fault
from registry_grpc.controller.queue import Key
from registry_grpc.controller.reconciler import DEPLOYMENTS
from registry_grpc.controller.spec import parse_spec
from registry_grpc.controller.targets import Targets
from tests.kit.cluster import WORKLOADS, delete, is_there
from tests.kit.controllers import registry_token
from tests.kit.server import RegistryServer
from tests.kit.signing import Signer
from tests.kit.waiting import metric, until

OTHER = "sha256:" + "0" * 64


def settled(here, model, text="one"):
    """A model in production and in its workload."""
    version = here.push(model, text)
    here.workload(model)
    here.deploy(model)
    here.controller()
    here.until_applied(model, version)
    return version


def test_a_version_of_another_digest_than_the_spec_says_is_refused(here):
    here.push("mismatched", "one")
    here.workload("mismatched")
    here.deploy("mismatched", stage=None, version=1, digest=OTHER)
    here.controller()
    message = here.until_condition("mismatched", "DigestMismatch")
    assert OTHER in message
    assert here.uri("mismatched") == ""
    assert ("Warning", "DigestMismatch") in here.events("mismatched")


def test_a_version_whose_bytes_are_others_than_before_is_refused(alone, tmp_path):
    """Another registry answers at the address: its version 1 is not the version 1 that runs."""
    version = settled(alone, "swapped")
    alone.server.kill()
    other = RegistryServer(tmp_path / "other", port=alone.server.port)
    try:
        other.start()
        with Registry(other.endpoint, token=other.token, cache_dir=tmp_path / "cache") as there:
            alone.until_condition("swapped", "TokenInvalid", "Resolved")
            registry_token(there, alone.namespace, alone.controllers[0].directory)
            replace(alone, registry=there).push("swapped", "others")
            message = alone.until_condition("swapped", "DigestMismatch", "Verified")
    finally:
        other.kill()
    assert version.manifest_digest in message
    assert alone.uri("swapped") == version.location


def test_what_must_be_signed_comes_in_once_it_is(here):
    model = "signed"
    version = here.push(model, "one")
    here.workload(model)
    here.deploy(model, verify={"signature": "Required"})
    here.controller()
    here.until_condition(model, "SignatureMissing", "Verified")
    assert here.uri(model) == ""
    signer = Signer()
    key = here.directory / "key.pem"
    key.write_bytes(signer.private)
    here.registry.sign_version(f"{model}/1", key)
    here.until_condition(model, "SignatureInvalid", "Verified")
    here.registry.trusted_signers.create("trainer", public_key=signer.public)
    here.registry.sign_version(f"{model}/1", key)
    here.until_applied(model, version)


def test_a_signature_that_is_bad_is_worse_than_none_unless_nobody_looks(here):
    model = "badly-signed"
    key = here.directory / "key.pem"
    key.write_bytes(Signer().private)
    version = here.push(model, "one")
    here.registry.sign_version(f"{model}/1", key)
    here.workload(model)
    here.deploy(model)
    here.controller()
    here.until_condition(model, "SignatureInvalid", "Verified")
    here.change(model, verify={"signature": "Off"})
    here.until_applied(model, version)


def test_a_yanked_version_does_not_come_in(here):
    first = settled(here, "yanked")
    here.push("yanked", "two", stage="")
    here.registry.yank_version("yanked/2", "it lies")
    here.change("yanked", stage=None, version=2)
    here.until_condition("yanked", "Yanked", "Verified")
    assert here.uri("yanked") == first.location


def test_a_field_of_another_manager_is_left_alone_unless_force_is_on(here):
    model = "contested"
    version = here.push(model, "one")
    here.workload(model)
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": model},
        "spec": {"template": {"metadata": {"annotations": {"serving.registrygrpc.dev/uri": "theirs"}}}},
    }
    here.kube.apply(WORKLOADS["Deployment"], here.namespace, theirs, manager="argocd")
    here.deploy(model)
    here.controller()
    message = here.until_condition(model, "Conflict", "Applied")
    assert "argocd" in message
    assert here.uri(model) == "theirs"
    assert here.condition(model)[0] == "False"
    here.change(model, force=True)
    here.until_applied(model, version)


def test_two_of_one_target_do_not_overrule_each_other(here):
    first = settled(here, "owner")
    here.push("intruder", "two")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "owner"}
    here.deploy("intruder", target=target)
    assert "mreg-controller.owner" in here.until_condition("intruder", "Conflict", "Applied")
    assert here.uri("owner") == first.location


def cron_at(moment: datetime) -> str:
    return f"{moment.minute} {moment.hour} * * *"


def test_a_new_version_waits_for_its_window(here):
    model = "windowed"
    first = settled(here, model)
    closed = {"cron": cron_at(datetime.now(UTC) + timedelta(hours=2)), "duration": "10m"}
    here.change(model, rollout={"window": closed})
    second = here.push(model, "two")
    message = here.until_condition(model, "WaitingForWindow")
    assert "version 2 waits for the window at" in message
    assert here.uri(model) == first.location
    opened = {"cron": cron_at(datetime.now(UTC) - timedelta(minutes=5)), "duration": "1h"}
    here.change(model, rollout={"window": opened})
    here.until_applied(model, second)


def test_nothing_is_written_while_it_is_suspended(here):
    model = "suspended"
    first = settled(here, model)
    here.change(model, suspend=True)
    here.until_condition(model, "Suspended", "Applied")
    second = here.push(model, "two")
    here.until_condition(model, "Suspended")
    assert here.uri(model) == first.location
    gone = {"spec": {"template": {"metadata": {"annotations": {"serving.registrygrpc.dev/uri": None}}}}}
    here.kube.merge(WORKLOADS["Deployment"], here.namespace, model, gone)
    looked = looks(here)
    until(lambda: looks(here) >= looked + 3, 60)
    assert here.uri(model) == ""
    here.change(model, suspend=False)
    here.until_applied(model, second)


def looks(here):
    return metric(here.controllers[0].metrics_port, "registry_controller_reconciles_total", result="done")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rollout": {"window": {"cron": "99 * * * *", "duration": "1h"}}}, "cron '99 * * * *' does not fire"),
        ({"rollout": {"window": {"cron": "0 2 * * *", "duration": "1h", "timeZone": "Mars/Base"}}}, "is no time zone"),
        ({"patches": [{"fieldPath": "spec..x", "value": "1"}]}, "is no path"),
        ({"patches": [{"fieldPath": "status.phase", "value": "1"}]}, "not the controller's to write"),
    ],
)
def test_a_spec_that_cannot_be_followed_says_why(here, spec, said):
    here.workload("unclear")
    here.deploy("unclear", **spec)
    here.controller()
    assert said in here.until_condition("unclear", "InvalidSpec")


def test_a_variable_that_does_not_exist_is_said(here):
    here.push("unfilled", "one")
    here.workload("unfilled")
    here.deploy("unfilled", patches=[{"fieldPath": "metadata.labels.x", "value": "${sha}"}])
    here.controller()
    assert "${sha}" in here.until_condition("unfilled", "InvalidSpec", "Applied")


def test_a_model_that_is_not_there_is_said_and_comes_in_when_it_is(here):
    here.workload("unborn")
    here.deploy("unborn")
    here.controller()
    here.until_condition("unborn", "ModelNotFound", "Resolved")
    version = here.push("unborn", "one")
    here.until_applied("unborn", version)


def test_a_stage_that_is_vacated_takes_nothing_away(here):
    first = settled(here, "vacated")
    here.registry.vacate("vacated", "production")
    here.until_condition("vacated", "StageVacant", "Resolved")
    assert here.uri("vacated") == first.location


def test_a_kind_it_has_no_right_to_is_said(here):
    here.push("forbidden", "one")
    target = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "forbidden"}
    patches = [{"fieldPath": "metadata.labels.version", "value": "${version}"}]
    here.deploy("forbidden", target=target, patches=patches)
    here.controller()
    message = here.until_condition("forbidden", "Forbidden", "Applied")
    assert "cronjobs.batch" in message


def test_a_target_that_is_deleted_meanwhile_is_not_made_again(here):
    """Even for one with every right in the cluster: what would be made is a few fields without a workload."""
    found = here.workload("vanishing")
    version = here.push("vanishing", "one")
    made = here.deploy("vanishing")
    delete(here.kube, WORKLOADS["Deployment"], here.namespace, "vanishing")
    spec, pin = parse_spec(made["spec"]), Pin(1, version.manifest_digest, version.location)
    key = Key(here.namespace, "vanishing")
    fault = Targets(here.kube).write(key, spec, spec.target, found, pin)
    assert isinstance(fault, Fault)
    assert fault.reason in {"Conflict", "TargetNotFound"}
    assert not here.exists("vanishing", "Deployment")


def test_deleting_it_leaves_the_target_as_it_is_and_free_for_others(here):
    version = settled(here, "released")
    before = here.found("released")
    delete(here.kube, DEPLOYMENTS, here.namespace, "released")
    until(lambda: not is_there(here.kube, DEPLOYMENTS, here.namespace, "released"), 30)
    after = here.found("released")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert here.uri("released") == version.location
    assert "mreg-controller" not in str(after["metadata"]["managedFields"])
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "released"},
        "spec": {"template": {"metadata": {"annotations": {"serving.registrygrpc.dev/uri": "theirs"}}}},
    }
    here.kube.apply(WORKLOADS["Deployment"], here.namespace, theirs, manager="argocd")
    assert here.uri("released") == "theirs"
