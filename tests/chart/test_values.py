"""What the chart refuses, before anything is installed: values that are none, and values that contradict others."""

import json
import subprocess

import pytest
import yaml

from tests.kit.chart import CHART, EXAMPLES, PRODUCTION, SMALLEST, helm, refused, render
from tests.kit.engines import ROOT

NO_VALUES = {
    "an unknown value": ({"replicas": 3}, "replicas"),
    "an unknown value inside": ({"image": {"tagg": "1"}}, "tagg"),
    "an unknown value deep inside": ({"database": {"migrations": {"on": True}}}, "on"),
    "a setting of no server": ({"server": {"settings": {"max_inflight": 3}}}, "max_inflight"),
    "a setting the chart decides": ({"server": {"settings": {"listen": ["0.0.0.0:1"]}}}, "listen"),
    "a setting out of its limits": ({"server": {"settings": {"max_uploads": 0}}}, "max_uploads"),
    "a setting of another type": ({"server": {"settings": {"reflection": "yes"}}}, "reflection"),
    "no mode": ({"mode": "cluster"}, "mode"),
    "no digest": ({"image": {"digest": "sha256:abc"}}, "digest"),
    "an image with its digest inside": ({"image": {"repository": "a@sha256:b"}}, "repository"),
    "no replicas": ({"replicaCount": 0}, "replicaCount"),
    "a port that needs root": ({"server": {"grpcPort": 443}}, "grpcPort"),
    "a port that is a text": ({"server": {"grpcPort": "7470"}}, "grpcPort"),
    "a name of no secret": ({"database": {"existingSecret": "My_Secret"}}, "existingSecret"),
    "an endpoint with a scheme": ({"objectStore": {"endpoint": "https://s3.example.org"}}, "endpoint"),
    "no bucket": ({"objectStore": {"bucket": "Models!"}}, "bucket"),
    "an issuer without audience": ({"auth": {"issuers": [{"id": "a", "issuer": "https://a"}]}}, "audience"),
    "an issuer with a typo": (
        {"auth": {"issuers": [{"id": "a", "issuer": "b", "audience": "c", "group": "d"}]}},
        "group",
    ),
    "an issuer in the clear": ({"auth": {"kubernetes": {"issuer": "http://k8s"}}}, "issuer"),
    "a log level of others": ({"server": {"logLevel": "trace"}}, "logLevel"),
    "no quantity": ({"resources": {"requests": {"cpu": "much"}}}, "cpu"),
    "no size": ({"embedded": {"size": "10"}}, "size"),
    "a peer of no kind": ({"networkPolicy": {"clients": [{"host": "a"}]}}, "host"),
    "no interval": ({"monitoring": {"serviceMonitor": {"interval": "1m"}}}, "interval"),
    "a service of no type": ({"service": {"type": "ExternalName"}}, "type"),
    "no way to spread": ({"topologySpread": {"zoneWhenUnsatisfiable": "Never"}}, "zoneWhenUnsatisfiable"),
    "a security context with a typo": ({"securityContext": {"runAsNonroot": True}}, "runAsNonroot"),
}
CONTRADICTIONS = {
    "SQLite with replicas": (SMALLEST, {"replicaCount": 2}, "replicaCount: 2; mode embedded is SQLite"),
    "SQLite with an autoscaler": (SMALLEST, {"autoscaling": {"enabled": True}}, "autoscaling.enabled: mode embedded"),
    "SQLite with workers": (SMALLEST, {"server": {"workers": 2}}, "server.workers: 2; mode embedded"),
    "SQLite with PostgreSQL": (SMALLEST, {"database": {"existingSecret": "db"}}, "database: mode embedded"),
    "a volume with S3": (SMALLEST, {"objectStore": {"endpoint": "s3:443"}}, "objectStore: mode embedded"),
    "no database": (PRODUCTION, {"database": {"existingSecret": ""}}, "database.existingSecret: name a secret"),
    "no store": (PRODUCTION, {"objectStore": {"endpoint": ""}}, "objectStore.endpoint: give host:port"),
    "no keys": (PRODUCTION, {"objectStore": {"existingSecret": ""}}, "objectStore.existingSecret: name a secret"),
    "no TLS and not asked for": (SMALLEST, {"tls": {"insecurePlaintext": False}}, "tls.existingSecret: name a secret"),
    "TLS and no TLS": (PRODUCTION, {"tls": {"insecurePlaintext": True}}, "contradict each other"),
    "mTLS without authorities": (PRODUCTION, {"tls": {"mtls": {"caSecret": ""}}}, "tls.mtls: needs"),
    "fewest above most": (PRODUCTION, {"autoscaling": {"minReplicas": 10}}, "minReplicas 10 is above maxReplicas 9"),
    "KServe in the clear": (SMALLEST, {"kserve": {"enabled": True}}, "kserve: mreg-fetch speaks TLS"),
    "one port for two": (SMALLEST, {"server": {"healthPort": 7471}}, "are the same"),
    "a controller that trusts nobody": (PRODUCTION, {"controller": {"caSecret": ""}}, "controller.caSecret: name"),
    "a controller that is nobody": (
        PRODUCTION,
        {"auth": {"kubernetes": {"enabled": False}}},
        "controller.tokenSecret: name a secret",
    ),
}


def objects(schema, path=""):
    """Return every part of the schema that describes an object, with its path."""
    if schema.get("type") == "object":
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from objects(part, f"{path}.{name}" if path else name)
    for part in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from objects(part, f"{path}[]")


@pytest.mark.parametrize("case", NO_VALUES.values(), ids=NO_VALUES)
def test_what_is_no_value_is_refused(case):
    values, part = case
    told = refused(SMALLEST, values)
    assert "values don't meet the specifications of the schema" in told
    assert part in told


@pytest.mark.parametrize("case", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_another_value_is_refused(case):
    example, values, part = case
    assert part in refused(example, values)


def test_all_contradictions_are_told_at_once():
    told = refused()
    for part in ("database.existingSecret", "objectStore.endpoint", "objectStore.existingSecret", "tls.existingSecret"):
        assert f"{part}: " in told


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_pass_the_strict_lint(example):
    done = helm("lint", "--strict", CHART, f"--values={example}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_of_the_schema_refuses_what_it_does_not_know_or_is_judged_by_the_cluster():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    open_ones = {path for path, part in objects(schema) if "additionalProperties" not in part}
    assert all(part["$comment"] == "as Kubernetes has it" for path, part in objects(schema) if path in open_ones)
    assert open_ones == {
        "global",
        "affinity.nodeAffinity",
        "affinity.podAffinity",
        "affinity.podAntiAffinity",
        "controller.extraRules[]",
        "extraEnv[].valueFrom",
        "extraManifests[]",
        "extraVolumeMounts[]",
        "extraVolumes[]",
        "networkPolicy.extraEgress[]",
    }


def test_every_value_with_a_default_is_in_the_schema_and_the_other_way_round():
    def names(values, schema, path=""):
        assert set(values) == set(schema["properties"]) - {"global"}, path
        for name, value in values.items():
            part = schema["properties"][name]
            if "properties" in part and name not in {"settings", "affinity"} and not name.endswith("ecurityContext"):
                names(value, part, f"{path}{name}.")

    schema = json.loads((CHART / "values.schema.json").read_text())
    names(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


def test_schema_and_page_are_what_is_generated():
    done = subprocess.run([ROOT / "scripts/chart", "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_chart_is_of_this_version():
    from registry_grpc import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_a_long_name_of_a_release_still_makes_valid_names():
    values = {"fullnameOverride": "a" * 63, "controller": {"enabled": True, "tokenSecret": "t"}}
    names = [each["metadata"]["name"] for each in render(PRODUCTION, values)]
    assert max(map(len, names)) <= 63
