"""Paths, patches, rollouts, windows, durations, the queue and kubeconfigs of the controller."""

import stat
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.controller.kubeconfig import KubeconfigError, load_access
from registry_grpc.controller.patches import Element, Patch, PatchError, default_patches, parse_path, patched
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.queue import Key, WorkQueue
from registry_grpc.controller.rollouts import Progress, rollout_of
from registry_grpc.controller.spec import SpecError, seconds
from registry_grpc.controller.targets import manager_of
from registry_grpc.controller.windows import Window, opens_at, window_fault

PIN = Pin(7, "sha256:" + "a" * 64, "mreg://team/fraud/7@sha256:" + "a" * 64)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("spec.replicas", ("spec", "replicas")),
        ("metadata.annotations['a.b/c']", ("metadata", "annotations", "a.b/c")),
        (
            "spec.template.spec.containers[name=server].env[name=MODEL].value",
            (
                "spec",
                "template",
                "spec",
                "containers",
                Element("name", "server"),
                "env",
                Element("name", "MODEL"),
                "value",
            ),
        ),
    ],
)
def test_a_path_is_read(text, steps):
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text",
    [
        *("", "spec..x", "spec.", "[name=x].y", "spec.containers[name=x]", "spec[0].x"),
        *("status.x", "kind", "metadata.name", "metadata.finalizers", "metadata"),
    ],
)
def test_what_is_no_path_or_not_ours_is_refused(text):
    with pytest.raises(PatchError):
        parse_path(text)


def test_only_the_fields_of_ours_are_sent():
    place = "spec.template.spec.containers[name=server]"
    patches = [
        Patch(parse_path(f"{place}.env[name=MODEL].value"), "${uri}"),
        Patch(parse_path(f"{place}.env[name=VERSION].value"), "v${version} of ${model}, $$5"),
        Patch(parse_path("metadata.labels['serving/digest']"), "${digest}"),
    ]
    env = [{"name": "MODEL", "value": PIN.uri}, {"name": "VERSION", "value": "v7 of fraud, $5"}]
    assert patched(patches, PIN) == {
        "metadata": {"labels": {"serving/digest": PIN.digest}},
        "spec": {"template": {"spec": {"containers": [{"name": "server", "env": env}]}}},
    }


@pytest.mark.parametrize("value", ["${sha}", "${", "$version and ${nothing}"])
def test_a_variable_that_does_not_exist_is_refused(value):
    with pytest.raises(PatchError, match="variable"):
        patched([Patch(("spec", "x"), value)], PIN)


def test_patches_that_contradict_each_other_are_refused():
    with pytest.raises(PatchError, match="different things"):
        patched([Patch(parse_path("spec.a.b"), "1"), Patch(parse_path("spec.a[name=x].b"), "2")], PIN)


def test_the_defaults_pin_and_own_no_list():
    made = patched(default_patches("StatefulSet"), PIN)
    assert made["spec"]["template"]["metadata"]["annotations"] == {
        "serving.registrygrpc.dev/uri": PIN.uri,
        "serving.registrygrpc.dev/version": "7",
        "serving.registrygrpc.dev/digest": PIN.digest,
        "serving.registrygrpc.dev/model": "fraud",
    }
    assert default_patches("CronJob") == ()


def deployment(**status):
    given = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": given | status,
    }


LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}]


@pytest.mark.parametrize(
    ("workload", "progress"),
    [
        (deployment(), Progress.DONE),
        (deployment(observedGeneration=1), Progress.RUNNING),
        (deployment(updatedReplicas=1), Progress.RUNNING),
        (deployment(replicas=3), Progress.RUNNING),
        (deployment(availableReplicas=1), Progress.RUNNING),
        (deployment(conditions=LATE), Progress.FAILED),
        (deployment(conditions=LATE, observedGeneration=1), Progress.RUNNING),
        (deployment() | {"status": {}}, Progress.RUNNING),
        (deployment() | {"spec": {"replicas": 0}, "status": {"observedGeneration": 2}}, Progress.DONE),
        (deployment(updateRevision="b", currentRevision="a", updatedReplicas=1) | {"kind": "StatefulSet"}, "running"),
        (deployment(updateRevision="b", currentRevision="b", updatedReplicas=0) | {"kind": "StatefulSet"}, "done"),
        ({"kind": "Anything", "metadata": {"generation": 3}}, Progress.DONE),
        ({"kind": "Service", "metadata": {"generation": 3}, "status": {"observedGeneration": 2}}, Progress.RUNNING),
        ({"kind": "Service", "status": {"conditions": [{"type": "Ready", "status": "False"}]}}, Progress.RUNNING),
        ({"kind": "Service", "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, Progress.DONE),
    ],
)
def test_how_far_a_workload_is(workload, progress):
    assert rollout_of(workload).progress == progress


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-20T02:00:00+00:00", None),
        ("2026-11-20T03:59:59+00:00", None),
        ("2026-11-20T04:00:00+00:00", "2026-11-23T02:00:00+00:00"),
        ("2026-11-20T01:59:59+00:00", "2026-11-20T02:00:00+00:00"),
        ("2026-11-21T12:00:00+00:00", "2026-11-23T02:00:00+00:00"),
    ],
)
def test_a_window_opens_with_cron_and_closes_after_its_duration(now, opens):
    window = Window("0 2 * * MON-FRI", 7200)
    assert opens_at(window, at(now)) == (opens and at(opens))


def test_a_window_goes_by_the_clock_of_its_zone_also_when_that_is_put_back():
    window = Window("0 2 * * *", 3600, "Europe/Berlin")
    assert opens_at(window, at("2026-07-01T00:30:00+00:00")) is None
    assert opens_at(window, at("2026-12-01T00:30:00+00:00")) == at("2026-12-01T01:00:00+00:00")
    # 02:00 comes twice that night; the window opens at one of the two and lasts an hour, whatever the clock shows.
    night = [at("2026-10-24T23:00:00+00:00") + timedelta(minutes=10 * each) for each in range(24)]
    assert sum(opens_at(window, each) is None for each in night) == 6


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (Window("99 * * * *", 60), "does not fire"),
        (Window("0 0 31 2 *", 60), "does not fire"),
        (Window("* * * * *", 60, "Mars/Base"), "is no time zone"),
        (Window("* * * * *", 60, ""), "is no time zone"),
    ],
)
def test_what_is_wrong_with_a_window_is_said(window, said):
    assert said in window_fault(window)


@pytest.mark.parametrize(("text", "number"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661)])
def test_a_duration_is_read(text, number):
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "5", "1d", "m", "1m1h", " 1s", "-1s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SpecError):
        seconds(text)


def test_a_long_name_has_a_field_manager_that_fits():
    long, other = (manager_of(Key("ns", letter * 253)) for letter in "ab")
    assert len(long) <= 128
    assert long != other
    assert manager_of(Key("ns", "fraud")) == "mreg-controller.fraud"


def test_a_key_is_due_once_and_with_one_worker_at_a_time():
    queue, key = WorkQueue(), Key("ns", "a")
    queue.add(key)
    queue.add(key)
    assert queue.take() == key
    queue.add(key)
    taken = []
    waiter = threading.Thread(target=lambda: taken.append(queue.take()))
    waiter.start()
    waiter.join(0.2)
    assert taken == []
    queue.done(key)
    waiter.join(10)
    assert taken == [key]
    queue.done(key)
    assert len(queue) == 0


def test_the_sooner_of_two_times_counts_and_pauses_double():
    queue, key = WorkQueue(), Key("ns", "a")
    queue.add(key, 3600)
    queue.add(key, 0.05)
    began = time.monotonic()
    assert queue.take() == key
    assert time.monotonic() - began >= 0.04
    queue.done(key)
    for _ in range(3):
        queue.failed(key)
    queue.forget(key)
    queue.succeeded(key)
    queue.close()
    assert queue.take() is None


def kubeconfig(user, **cluster):
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://k", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
        "current-context": "x",
    }


def written(tmp_path, content):
    import yaml

    (tmp_path / "config").write_text(yaml.safe_dump(content))
    return tmp_path / "config"


def test_a_kubeconfig_is_read_and_its_secret_is_not_shown(tmp_path):
    (tmp_path / "token").write_text("fresh\n")
    found = load_access(written(tmp_path, kubeconfig({"tokenFile": "token"})), {})
    assert (found.server, found.namespace, found.token()) == ("https://k", "models", "fresh")
    (tmp_path / "token").write_text("newer\n")
    assert found.token() == "newer"
    plain = load_access(None, {"KUBECONFIG": str(written(tmp_path, kubeconfig({"token": "hidden"})))})
    assert plain.token() == "hidden"
    assert "hidden" not in repr(plain)


@pytest.mark.parametrize(
    "content",
    [
        kubeconfig({"exec": {"command": "aws"}}),
        kubeconfig({"token": "x"}, **{"insecure-skip-tls-verify": True}),
        kubeconfig({}) | {"current-context": "other"},
    ],
)
def test_ways_in_that_are_not_supported_are_said(tmp_path, content):
    with pytest.raises(KubeconfigError):
        load_access(written(tmp_path, content), {})


def test_a_key_inside_a_kubeconfig_is_for_nobody_else(tmp_path):
    data = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    found = load_access(written(tmp_path, kubeconfig(data)), {})
    assert (found.client_cert.read_text(), found.client_key.read_text()) == ("cert", "key")
    assert stat.S_IMODE(found.client_key.stat().st_mode) == 0o600


def test_without_any_cluster_it_is_said_where_it_was_looked_for(tmp_path):
    with pytest.raises(KubeconfigError, match="no cluster"):
        load_access(tmp_path / "nothing", {})


def test_a_pod_finds_its_cluster_by_its_environment():
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert load_access(None, environment).server == "https://[fd00::1]:6443"
