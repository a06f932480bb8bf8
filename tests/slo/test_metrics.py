"""What rules and dashboard ask for is there, on real servers of both deployments."""

import json
import re
import time
import urllib.request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.engines import ROOT
from tests.kit.uploads import DEPLOYMENTS, deployed
from tests.kit.waiting import until

SELECTOR = re.compile(r"\b((?:registry|grpc)_[a-z_]+)(?![a-z_:(])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
CAPACITY = 1 << 40
JOBS = 60.0
"""The leader's jobs have had their first turn by then."""


def expressions():
    """Return every expression of the rules, Sloth's form and the dashboard."""
    groups = yaml.safe_load((ROOT / "slo/rules.yaml").read_text())["groups"]
    yield from (rule["expr"] for group in groups for rule in group["rules"])
    for each in yaml.safe_load((ROOT / "slo/sloth.yaml").read_text())["slos"]:
        yield from each["sli"]["events"].values()
    for panel in json.loads((ROOT / "slo/dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def selectors():
    """Return name and matchers of every series that is asked for and not recorded by a rule."""
    found = set()
    for expression in expressions():
        by = re.sub(r"\b(?:by|on|without|ignoring|group_left)\s*\([^)]*\)", "", expression)
        found |= {
            (name, tuple(MATCHER.findall(labels)))
            for name, labels in SELECTOR.findall(by)
            if not name.startswith("registry_slo")
        }
    return sorted(found)


def samples(server):
    """Return names and labels of everything a server shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return [
        (sample.name, sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    ]


def meets(labels, matchers):
    tests = {
        "=": lambda value, wanted: value == wanted,
        "!=": lambda value, wanted: value != wanted,
        "=~": lambda value, wanted: re.fullmatch(wanted, value) is not None,
        "!~": lambda value, wanted: re.fullmatch(wanted, value) is None,
    }
    return all(tests[how](labels.get(name, ""), wanted) for name, how, wanted in matchers)


def alternatives(matchers):
    """Return the matchers once for each alternative of each regular expression: every one must find something."""
    yield matchers
    for at, (name, how, wanted) in enumerate(matchers):
        others = matchers[:at] + matchers[at + 1 :]
        if how == "=~":
            yield from (((name, how, each), *others) for each in wanted.split("|"))
        if how == "!~":
            # What is left out must be there too, whatever else is asked of it.
            beside = [other for other in others if other[0] != name]
            yield from (((name, "=~", each), *beside) for each in wanted.split("|"))


def missing(server):
    shown = samples(server)
    return [
        (name, wanted)
        for name, matchers in selectors()
        for wanted in alternatives(matchers)
        if not any(name == its and meets(labels, wanted) for its, labels in shown)
    ]


def until_nothing_is_missing(server):
    deadline = time.monotonic() + JOBS
    while missing(server) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert missing(server) == []


def test_the_expressions_are_read():
    names = {name for name, _ in selectors()}
    assert {"grpc_server_handled_total", "registry_uploads_finished_total", "registry_scrub_damaged_blobs"} <= names
    assert {"registry_storage_free_bytes", "registry_stage_event_delay_seconds_bucket"} <= names
    assert len(names) > 30
    recorded = [expression for expression in expressions() if "registry_slo:" in expression]
    assert recorded


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_every_series_of_rules_and_dashboard_is_on_a_live_server(kind, service_environment):
    settings = {"storage_capacity_bytes": str(CAPACITY)} if kind == "distributed" else {}
    with deployed(kind, service_environment, **settings) as server:
        # Those of the leader come with the first turn of its jobs.
        until_nothing_is_missing(server)
        [source] = [labels["source"] for name, labels in samples(server) if name == "registry_storage_free_bytes"]
        assert source == ("setting" if kind == "distributed" else "disk")


def test_a_bucket_of_unknown_size_shows_no_capacity(service_environment):
    with deployed("distributed", service_environment) as server:
        until(lambda: "registry_storage_bytes" in {name for name, _ in samples(server)}, JOBS)
        assert "registry_storage_capacity_bytes" not in {name for name, _ in samples(server)}
