"""The chart at a real Kubernetes API: what it judges valid, and what an upgrade and a rollback leave."""

import contextlib
import difflib
import json
import ssl
import urllib.error
import urllib.request
import uuid

import pytest
import yaml

from tests.kit.chart import CHART, EXAMPLES, PRODUCTION, helm, pods
from tests.kit.cluster import CRDS, admin_of, is_established
from tests.kit.crds import crds
from tests.kit.waiting import until

VOLATILE = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


class Api:
    """The API by HTTP alone: every field that it does not know is an error."""

    def __init__(self, cluster):
        made = cluster.apiserver
        self._url, self._token = made.url, made.token
        self._trust = ssl.create_default_context(cafile=str(made.ca_file))
        self._kinds = {}

    def call(self, path, method="GET", body=None):
        headers = {"Authorization": f"Bearer {self._token}"}
        data = json.dumps(body).encode() if body is not None else None
        if data:
            headers["Content-Type"] = "application/apply-patch+yaml"
        request = urllib.request.Request(f"{self._url}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._trust) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def path(self, manifest, namespace):
        group = manifest["apiVersion"]
        root = f"/api/{group}" if group == "v1" else f"/apis/{group}"
        if group not in self._kinds:
            self._kinds[group] = {
                each["kind"]: each for each in self.call(root)["resources"] if "/" not in each["name"]
            }
        kind = self._kinds[group][manifest["kind"]]
        if kind["namespaced"]:
            root += f"/namespaces/{manifest['metadata'].get('namespace', namespace)}"
        return f"{root}/{kind['name']}/{manifest['metadata']['name']}"

    def dry_run(self, manifest, namespace):
        path = self.path(manifest, namespace)
        return self.call(f"{path}?dryRun=All&fieldManager=tests&force=true&fieldValidation=Strict", "PATCH", manifest)


@pytest.fixture(scope="module")
def with_crds(cluster):
    kube = admin_of(cluster)
    for crd in crds():
        kube.apply(CRDS, "", crd, manager="tests")
        until(lambda name=crd["metadata"]["name"]: is_established(kube, name), 30)
    return cluster


@pytest.fixture
def api(with_crds):
    return Api(with_crds)


@pytest.fixture
def space(api):
    """A namespace that lets in nothing but restricted pods."""
    name = f"chart-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    api.call(f"/api/v1/namespaces/{name}?fieldManager=tests", "PATCH", body)
    # The controller-manager would make it, and none runs here.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    api.call(f"/api/v1/namespaces/{name}/serviceaccounts/default?fieldManager=tests", "PATCH", account)
    return name


@pytest.fixture
def run(with_crds, space):
    """Runs helm in the namespace; a release that was made is removed."""
    release = f"r{uuid.uuid4().hex[:6]}"

    def command(verb, *arguments, values=None):
        given = json.dumps(values or {})
        with_values = ["--values=-"] if verb in {"install", "upgrade", "template"} else []
        done = helm(
            *verb.split(),
            release,
            *arguments,
            f"--namespace={space}",
            *with_values,
            given=given,
            kubeconfig=with_crds.apiserver.kubeconfig,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield command
    with contextlib.suppress(AssertionError):
        command("uninstall")


def settled(manifest):
    """Return an object without what the API counts, as text that can be compared."""
    kept = {key: value for key, value in manifest["metadata"].items() if key not in VOLATILE}
    kept.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
    body = {key: value for key, value in manifest.items() if key != "status"} | {"metadata": kept}
    return yaml.safe_dump(body, sort_keys=True)


def live(api, run, namespace):
    """Return what is there of the release, without its Job, whose name is another one at each revision."""
    manifests = [each for each in yaml.safe_load_all(run("get manifest")) if each]
    return {
        f"{each['kind']} {each['metadata']['name']}": settled(api.call(api.path(each, namespace)))
        for each in manifests
        if each["kind"] != "Job"
    }


def jobs(api, namespace):
    found = api.call(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return [each["metadata"]["name"].split("-migrate-")[1].partition("-")[0] for each in found]


def changed(before, after):
    """Return the lines that differ, without their place."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "").splitlines(), after.get(name, "").splitlines()
        lines += [
            f"{name}: {line[0]} {line[1:].strip()}"
            for line in difflib.unified_diff(old, new, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
    return lines


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_takes_every_object_as_it_is_written(api, run, space, example):
    manifests = [each for each in yaml.safe_load_all(run("template", CHART, f"--values={example}")) if each]
    for each in manifests:
        taken = api.dry_run(each, space)
        assert taken["metadata"]["name"] == each["metadata"]["name"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_lets_every_pod_in_under_the_restricted_profile(api, run, space, example):
    manifests = [each for each in yaml.safe_load_all(run("template", CHART, f"--values={example}")) if each]
    found = pods(manifests)
    assert {"server", "test"} <= found.keys()
    for name, spec in found.items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        api.dry_run(pod | {"spec": spec | {"serviceAccountName": "default"}}, space)
        bad = spec | {"hostNetwork": True, "serviceAccountName": "default"}
        with pytest.raises(AssertionError, match="violates PodSecurity"):
            api.dry_run(pod | {"spec": bad}, space)


def test_the_api_refuses_a_field_that_it_does_not_know(api, run, space):
    manifests = [each for each in yaml.safe_load_all(run("template", CHART, f"--values={PRODUCTION}")) if each]
    for kind in ("Deployment", "ServiceMonitor", "ClusterStorageContainer"):
        bad = next(each for each in manifests if each["kind"] == kind)
        bad["spec"]["nonsense"] = True
        with pytest.raises(AssertionError, match="nonsense"):
            api.dry_run(bad, space)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_upgrade_changes_what_was_asked_for_and_a_rollback_takes_it_back(api, run, space, example):
    told = run("install", CHART, f"--values={example}")
    assert f"helm -n {space} test" in told
    installed = live(api, run, space)
    assert len(installed) > 5
    run("upgrade", CHART, f"--values={example}", values={"server": {"logLevel": "debug"}})
    upgraded = live(api, run, space)
    [deployment] = [name for name in upgraded if name.startswith("Deployment") and "controller" not in name]
    assert changed(installed, upgraded) == [f"{deployment}: - value: info", f"{deployment}: + value: debug"]
    run("rollback", "1")
    assert changed(installed, live(api, run, space)) == []
    if example == PRODUCTION:
        # One for each revision; that of the one before goes with its upgrade.
        assert jobs(api, space) == ["1"]


def test_each_revision_has_a_migration_of_its_own(api, run, space):
    run("install", CHART, f"--values={PRODUCTION}")
    assert jobs(api, space) == ["1"]
    run("upgrade", CHART, f"--values={PRODUCTION}", values={"image": {"tag": "2", "digest": ""}})
    assert jobs(api, space) == ["2"]


def test_what_is_removed_leaves_the_volume(api, run, space):
    run("install", CHART, f"--values={EXAMPLES[0]}")
    run("uninstall")
    claims = api.call(f"/api/v1/namespaces/{space}/persistentvolumeclaims")["items"]
    assert len(claims) == 1
    assert api.call(f"/apis/apps/v1/namespaces/{space}/deployments")["items"] == []
