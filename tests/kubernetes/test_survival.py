"""What is applied stays, and what comes later arrives, over the death of each of the three."""

import os
import signal
import time

import pytest

from registry_grpc.client import OutOfRange
from registry_grpc.client.watch import Kind
from registry_grpc.controller.kube import KubeError
from registry_grpc.controller.leader import LEASES
from registry_grpc.v1 import events_pb2
from tests.kit.cluster import admin_of, install_crds
from tests.kit.controllers import space
from tests.kit.deployments import two_replicas
from tests.kit.kubernetes import private_kubernetes
from tests.kit.restores import keep_copy, put_back
from tests.kit.server import running
from tests.kit.waiting import until


def settled(here, model, **spec):
    version = here.push(model, "one")
    here.workload(model)
    here.deploy(model, **spec)
    here.controller()
    here.until_applied(model, version)
    here.roll_out(model)
    here.until_condition(model, "Serving")
    return version


def test_a_registry_that_was_killed_takes_nothing_away_and_is_followed_again(alone):
    first = settled(alone, "outlived")
    before = alone.found("outlived")["metadata"]["generation"]
    alone.server.kill()
    alone.until_condition("outlived", "RegistryUnavailable", "RegistryReachable")
    assert alone.condition("outlived")[:2] == ("Unknown", "RegistryUnavailable")
    assert alone.condition("outlived", "Applied")[0] == "True"
    assert alone.uri("outlived") == first.location
    assert alone.found("outlived")["metadata"]["generation"] == before
    alone.server.start()
    alone.until_condition("outlived", "Serving")
    alone.until_applied("outlived", alone.push("outlived", "two"))


def test_a_controller_that_was_killed_goes_on_where_it_was(here):
    first = settled(here, "resumed")
    here.controllers[0].kill()
    second = here.push("resumed", "two")
    assert here.uri("resumed") == first.location
    here.controller()
    here.until_applied("resumed", second)
    until(lambda: here.deployment("resumed")["status"]["history"][0]["version"] == 2, 30)
    history = here.deployment("resumed")["status"]["history"]
    assert [each["version"] for each in history] == [2, 1]


def test_a_controller_that_is_killed_over_and_over_gets_there(here):
    model = "hunted"
    settled(here, model)
    controller = here.controllers[0]
    for at in range(4):
        version = here.push(model, f"weights {at}")
        # Somewhere between hearing of it and writing the status.
        time.sleep(0.02 * at)
        controller.kill()
        controller.start()
        here.until_applied(model, version)
    until(lambda: here.deployment(model)["status"]["applied"]["version"] == 5, 30)
    history = [each["version"] for each in here.deployment(model)["status"]["history"]]
    # One that it died over before it wrote the status may be missing; none is there twice.
    assert history == sorted(set(history), reverse=True)


def test_a_rollback_survives_the_death_of_the_controller_in_the_middle(here):
    first = settled(here, "halfway")
    second = here.push("halfway", "two")
    here.until_applied("halfway", second)
    here.controllers[0].kill()
    here.fail("halfway")
    here.controller()
    here.until_applied("halfway", first)
    assert here.until_condition("halfway", "RolloutFailed")


def test_a_registry_that_forgot_where_the_watch_stood_is_followed_anew(alone):
    """The history of the registry changes under the watch: it is put back to an older copy of itself."""
    settled(alone, "restored")
    second = alone.push("restored", "two", stage="staging")
    copy = keep_copy(alone.server, alone.directory / "copy")
    alone.registry.promote(second.location, "production")
    alone.until_applied("restored", second)
    # From then on its reads ask for a revision that the copy has not.
    until(lambda: [*alone.registry.deployments.list("restored/2")], 30)
    put_back(alone.server, copy)
    until(lambda: alone.uri("restored").split("@")[0].endswith("/1"), 60)
    alone.registry.promote(second.location, "production")
    alone.until_applied("restored", second)


def test_events_that_were_forgotten_are_made_up_for_by_the_present_state(cluster, tmp_path):
    """The place of the registry's watch is compacted while the controller hears nothing."""
    with running({"event_retention_s": "1"}) as server, space(cluster, server, tmp_path) as here:
        settled(here, "compacted", interval="1h")
        controller = here.controllers[0]
        os.kill(controller.process.pid, signal.SIGSTOP)
        with here.registry.watch("compacted") as changes:
            place = next(change.resume_token for change in changes if change.kind is Kind.SYNCED)
        # Whatever was on its way to it dies with the connection; it cannot make another one.
        here.server.stop()
        here.server.start()
        second = here.push("compacted", "two")
        time.sleep(1.5)
        # A leader forgets events as soon as it is one.
        here.server.stop()
        here.server.start()
        until(lambda: is_compacted(here.registry, place), 60)
        os.kill(controller.process.pid, signal.SIGCONT)
        here.until_applied("compacted", second, within_s=60)


def is_compacted(registry, place):
    """Whether a watch cannot go on there any more."""
    stub = registry.connection.stubs.events.ListEvents
    request = events_pb2.ListEventsRequest(parent="projects/default", resume_token=place)
    try:
        registry.connection.read(stub, request)
    except OutOfRange as error:
        return error.reason == "REVISION_COMPACTED"
    return False


@pytest.fixture
def own_cluster(server, tmp_path):
    """A namespace in a cluster of the test's own, which it may kill."""
    with private_kubernetes() as cluster:
        install_crds(admin_of(cluster))
        with space(cluster, server, tmp_path) as made:
            yield made


def test_an_api_server_that_was_killed_and_forgot_where_the_watch_stood_is_followed_anew(own_cluster):
    here = own_cluster
    settled(here, "expired")
    here.cluster.apiserver.kill()
    here.push("expired", "two")
    here.cluster.apiserver.start(120)
    # Its watch cache begins now: older places are gone.
    third = here.push("expired", "three")
    until(lambda: written(here, "expired", third), 60)
    until(lambda: "watch_expired" in here.controllers[0].log, 30)
    here.workload("later")
    fourth = here.push("later", "four")
    here.deploy("later")
    until(lambda: written(here, "later", fourth), 60)


def written(here, model, version):
    try:
        return here.uri(model) == version.location
    except KubeError:
        return False


def test_of_two_controllers_one_works_and_the_other_takes_over(here):
    model = "elected"
    version = here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    options = ("--leader-elect", f"--lease={here.namespace}/mreg-controller", "--lease-duration=3")
    first = here.controller(*options)
    here.until_applied(model, version)
    second = here.controller(*options)
    until(lambda: "leading" in first.log, 30)
    first.kill()
    here.until_applied(model, here.push(model, "two"))
    assert "leading" in second.log
    third = here.controller(*options)
    assert second.stop() == 0
    began = time.monotonic()
    here.until_applied(model, here.push(model, "three"))
    assert "leading" in third.log
    assert time.monotonic() - began < 30


def test_a_leader_that_loses_its_lease_ends(here):
    options = ("--leader-elect", f"--lease={here.namespace}/mreg-controller", "--lease-duration=3")
    controller = here.controller(*options)
    until(lambda: "leading" in controller.log, 30)
    taken = {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}}
    here.kube.merge(LEASES, here.namespace, "mreg-controller", taken)
    until(lambda: controller.process.poll() is not None, 30)
    assert controller.process.returncode == 1


def test_two_replicas_are_one_registry_and_one_of_them_may_die(cluster, service_environment, tmp_path):
    """A replica that has not seen yet what the other's watch told does not bring the old version back."""
    with two_replicas(service_environment) as (first, second), space(cluster, second, tmp_path) as here:
        model = "replicated"
        here.workload(model)
        here.deploy(model, interval="1h")
        controller = here.controller(start=False)
        controller.endpoint = f"{first.endpoint},{second.endpoint}"
        controller.start()
        for at in range(6):
            here.until_applied(model, here.push(model, f"weights {at}"))
        first.kill()
        here.until_applied(model, here.push(model, "after"), within_s=60)
        until(lambda: here.deployment(model)["status"]["applied"]["version"] == 7, 30)
        versions = [each["version"] for each in here.deployment(model)["status"]["history"]]
        assert versions == sorted(set(versions), reverse=True)
