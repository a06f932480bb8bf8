"""What the chart makes: valid for three Kubernetes versions, restricted, probed as the server answers."""

import base64
import json
import re
import shlex

import kubernetes_validate
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from registry_grpc.domain.identity import token_text
from registry_grpc.observability.health import LIVENESS, READINESS
from registry_grpc.server.configuration import load_settings
from registry_grpc.server.settings import Settings
from tests.kit.chart import EXAMPLES, NAMESPACE, PRODUCTION, RELEASE, SMALLEST, environment, one, pods, render
from tests.kit.engines import ROOT
from tests.slo.program import mreg

VERSIONS = ("1.31", "1.34", "1.37")
OF_CRDS = {"ClusterStorageContainer", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
CONTENTS = {
    "token": str(token_text(b"9" * 9, b"3" * 32)),
    "secrets.key": base64.b64encode(b"k" * 32).decode(),
    "audit.key": Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
}
"""Of files of secrets that the server reads when it takes its settings."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_object_is_valid_for_kubernetes(example, version):
    manifests = [each for each in render(example) if each["kind"] not in OF_CRDS]
    assert len(manifests) > 5
    for each in manifests:
        kubernetes_validate.validate(each, version, strict=True)


def test_an_object_with_a_typo_is_not_valid():
    deployment = one(render(SMALLEST), "Deployment")
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_pod_fits_the_restricted_profile(example):
    found = pods(render(example))
    assert {"server", "test"} <= set(found)
    for spec in found.values():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_pod_gets_variables_of_services_which_the_server_would_take_for_settings(example):
    assert [name for name, spec in pods(render(example)).items() if spec["enableServiceLinks"] is not False] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_only_the_controller_may_speak_to_the_cluster(example):
    with_token = {name for name, spec in pods(render(example)).items() if spec["automountServiceAccountToken"]}
    assert with_token <= {"controller"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_waits_for_a_hook(example):
    hooks = {
        each["metadata"]["name"]: each["metadata"]["annotations"]["helm.sh/hook"]
        for each in render(example)
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    }
    assert hooks == {f"{RELEASE}-registry-grpc-test": "test"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_object_is_in_the_release_and_carries_its_labels(example):
    for each in render(example):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        if each["kind"] not in {"ClusterRole", "ClusterRoleBinding", "ClusterStorageContainer"}:
            assert each["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_kubelet_asks_what_the_server_answers(example):
    [server] = pods(render(example))["server"]["containers"]
    [port] = [each["containerPort"] for each in server["ports"] if each["name"] == "health"]
    assert server["readinessProbe"]["grpc"] == {"port": port, "service": READINESS}
    assert server["livenessProbe"]["grpc"] == server["startupProbe"]["grpc"] == {"port": port, "service": LIVENESS}
    assert environment(server)["MREG_HEALTH_LISTEN"].endswith(f":{port}")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_pod_gets_the_time_it_drains_in(example):
    spec = pods(render(example))["server"]
    given = environment(spec["containers"][0])
    assert spec["terminationGracePeriodSeconds"] > int(given["MREG_DRAIN_S"]) + int(given["MREG_DRAIN_WAIT_S"])


def mounted(tmp_path, spec):
    """Return the variables of the server, with the files of its volumes made under `tmp_path`."""
    container = spec["containers"][0]
    given = environment(container) | {
        each["name"]: "from-a-secret" for each in container["env"] if "secretKeyRef" in each.get("valueFrom", {})
    }
    volumes = {each["name"] for each in spec["volumes"]}
    places = {each["mountPath"]: tmp_path / each["name"] for each in container["volumeMounts"]}
    assert {each["name"] for each in container["volumeMounts"]} <= volumes
    moved = {}
    for name, value in given.items():
        for mount, place in places.items():
            if mount in value:
                place.mkdir(exist_ok=True)
                for part in re.findall(re.escape(mount) + r"/([\w.-]+)", value):
                    (place / part).write_text(CONTENTS.get(part, "text"))
                value = value.replace(mount, str(place))  # noqa: PLW2901
        moved[name] = value
    return moved


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_server_takes_the_settings_of_the_pod(example, tmp_path):
    spec = pods(render(example))["server"]
    settings = load_settings({}, mounted(tmp_path, spec))
    assert settings.embedded is (example == SMALLEST)
    assert settings.artifact_store == ("file" if example == SMALLEST else "s3")
    assert {each.port for each in settings.listeners} | {settings.metrics_listener.port} <= {
        each["containerPort"] for each in spec["containers"][0]["ports"]
    }
    if example == PRODUCTION:
        assert [each.mode for each in settings.listeners] == ["tls", "mtls"]
        assert [each.id for each in settings.issuers] == ["corp", "k8s"]
        assert settings.compact_events is False
        assert settings.event_retention_s == 2_592_000
        assert settings.storage_capacity_bytes == 50_000_000_000_000


def test_numbers_and_lists_of_settings_arrive_as_they_were_written(tmp_path):
    given = {"max_message_bytes": 67108864, "scrub_pass_s": 0.5, "webhook_allow_networks": ["10.0.0.0/8", "fd00::/8"]}
    spec = pods(render(SMALLEST, {"server": {"settings": given}}))["server"]
    settings = load_settings({}, mounted(tmp_path, spec))
    assert settings.max_message_bytes == 67108864
    assert settings.scrub_pass_s == 0.5
    assert settings.webhook_allow_networks == ("10.0.0.0/8", "fd00::/8")


def test_every_setting_is_a_value_or_decided_by_one():
    schema = json.loads((ROOT / "deploy/helm/registry-grpc/values.schema.json").read_text())
    named = set(schema["properties"]["server"]["properties"]["settings"]["properties"])
    text = (ROOT / "deploy/helm/registry-grpc/templates/_server.tpl").read_text()
    decided = {name.lower() for name in re.findall(r"MREG_([A-Z0-9_]+)", text)}
    by_file = {"database_url", "s3_secret_key"}
    assert named | decided | by_file == set(Settings.model_fields)
    assert named & decided == set()


def test_replicas_take_turns_at_the_address_programs_get():
    manifests = render(PRODUCTION)
    headless = one(manifests, "Service", "-headless")
    assert headless["spec"]["clusterIP"] == "None"
    [test] = pods(manifests)["test"]["containers"]
    address = environment(test)["MREG_ENDPOINT"]
    assert address == f"dns:///{headless['metadata']['name']}.{NAMESPACE}.svc:7470"


def test_metrics_are_on_no_service_that_clients_use():
    services = [each for each in render(PRODUCTION) if each["kind"] == "Service"]
    with_metrics = [each for each in services if "metrics" in str(each["spec"]["ports"])]
    assert [each["metadata"]["name"] for each in with_metrics] == [f"{RELEASE}-registry-grpc-metrics"]
    assert "health" not in str([each["spec"]["ports"] for each in services])


def test_rules_and_dashboard_are_the_files_that_are_generated():
    manifests = render(PRODUCTION)
    rules = yaml.safe_load((ROOT / "slo/rules.yaml").read_text())
    assert one(manifests, "PrometheusRule")["spec"] == rules
    [dashboard] = one(manifests, "ConfigMap", "-dashboard")["data"].values()
    assert json.loads(dashboard) == json.loads((ROOT / "slo/dashboard.json").read_text())


def test_the_controller_gets_the_rights_it_says_it_needs_and_a_lease_of_its_own():
    rules = yaml.safe_load((ROOT / "deploy/helm/registry-grpc/files/controller-rules.yaml").read_text())
    more = {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "patch"]}
    for namespaces in ([], ["a", "b"]):
        values = {"controller": {"namespaces": namespaces, "extraRules": [more]}}
        manifests = render(PRODUCTION, values)
        roles = [each for each in manifests if each["kind"] in {"Role", "ClusterRole"}]
        lease = one(roles, "Role", "-controller-lease")
        named = [rule.get("resourceNames") for rule in lease["rules"] if "resourceNames" in rule]
        assert named == [[f"{RELEASE}-registry-grpc-controller"]]
        asked = [{key: value for key, value in rule.items() if key != "resourceNames"} for rule in rules["lease"]]
        assert [{k: v for k, v in rule.items() if k != "resourceNames"} for rule in lease["rules"]] == asked
        working = [each for each in roles if each is not lease]
        assert [each["rules"] for each in working] == [[*rules["workloads"], more]] * max(1, len(namespaces))
        assert [each["metadata"].get("namespace") for each in working] == (namespaces or [None])
        arguments = pods(manifests)["controller"]["containers"][0]["args"]
        assert f"--lease={NAMESPACE}/{RELEASE}-registry-grpc-controller" in arguments


def test_the_program_takes_the_arguments_of_the_controller():
    arguments = pods(render(PRODUCTION, {"controller": {"namespaces": ["a", "b"]}}))["controller"]["containers"][0][
        "args"
    ]
    # It gets as far as the cluster, which is not there; an argument it does not know would be a fault of usage.
    done = mreg(*arguments, "--kubeconfig=/nonexistent")
    assert done.returncode == 1
    assert "/nonexistent" in done.stderr
    assert mreg(*arguments, "--nonsense").returncode == 2


def test_selectors_meet_what_they_select():
    manifests = render(PRODUCTION)
    server = one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = one(manifests, kind)["spec"]
        assert spec.get("selector", spec.get("podSelector"))["matchLabels"].items() <= server
    wanted = one(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    scraped = [each for each in manifests if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()]
    assert [each["metadata"]["name"] for each in scraped] == [f"{RELEASE}-registry-grpc-metrics"]


def test_the_scripts_of_pods_are_valid_shell():
    found = pods(render(PRODUCTION))
    waiting = found["server"]["initContainers"][0]["command"]
    assert waiting[:2] == ["sh", "-c"]
    assert shlex.split(waiting[2])[:4] == ["until", "mreg", "db", "check;"]
