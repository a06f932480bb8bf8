"""The document of objectives is read with care, and its arithmetic is what a hand calculation says."""

import copy
import re

import pytest
import yaml

from registry_grpc.observability import metrics, rpc_metrics
from registry_grpc.observability.objectives import HistogramSource, budget_left, burn_rate
from registry_grpc.observability.objectives_document import ObjectivesError, parse, shipped
from tests.kit.engines import ROOT

DOCUMENT = yaml.safe_load((ROOT / "slo/registry.yaml").read_text())
MISSING = object()


def changed(path, value):
    """Return the document with one value changed, added or taken away."""
    document = copy.deepcopy(DOCUMENT)
    *steps, last = re.findall(r"[a-z_]+|\d+", path)
    place = document
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    last = int(last) if last.isdigit() else last
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("period", "1 month", "period is '1 month'; give a time such as 30s, 5m, 6h or 30d"),
        ("service", MISSING, "service is missing"),
        ("least_bad", 1.5, "least_bad is 1.5; give a whole number"),
        ("objectives", [], "objectives is []; give a list that is not empty"),
        ("objectives[0]", "none", "objectives[0] is 'none'; give a mapping"),
        ("objectives[0].target", 100, "objectives[0].target is 100; give a percentage above 0 and below 100"),
        ("objectives[0].target", True, "objectives[0].target is True; give a number above 0"),
        ("objectives[0].name", "Availability", "objectives[0].name is 'Availability'; it must match [a-z][a-z0-9-]*"),
        ("objectives[0].name", "upload-success", "objectives: name upload-success is given twice; each must be unique"),
        (
            "objectives[0].alert",
            "RegistryFeedStale",
            "alerts: name RegistryFeedStale is given twice; each must be unique",
        ),
        ("objectives[0].counter", MISSING, "objectives[0]: give one of counter and histogram, not 0"),
        ("objectives[2].histogram.at_least", 5, "objectives[2].histogram: give one of at_most and at_least"),
        ("objectives[0].counter.le", 1, "objectives[0].counter.le is not known; there are bad, metric, where"),
        ("alerts[0].severity", "sms", "alerts[0].severity is 'sms'; give one of page, ticket"),
        (
            "burn_alerts[0].short",
            "2h",
            "burn_alerts[0]: short 2h, long 1h and period 30d must each be longer than the one before",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_its_value_and_what_to_do(path, value, message):
    with pytest.raises(ObjectivesError) as caught:
        parse(changed(path, value))
    assert str(caught.value) == message


def test_a_document_that_is_a_list_is_refused():
    with pytest.raises(ObjectivesError, match=r"the document is \[\]; give a mapping"):
        parse([])


def test_windows_are_those_of_the_alerts_and_the_period():
    assert [span.text for span in shipped().windows] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]


@pytest.mark.parametrize(
    ("bad", "of", "target", "burn", "left"),
    [
        # 43,200 minutes have 43.2 of budget at 99.9 %: as many bad ones are a burn of 1, and nothing is left.
        (43.2, 43_200, 0.999, 1.0, 0.0),
        # 2 % of the budget in an hour of 720: 14.4 times too fast.
        (0.0144, 1, 0.999, 14.4, -13.4),
        (5, 10_000, 0.9995, 1.0, 0.0),
        (1, 1_000, 0.99, 0.1, 0.9),
        (0, 1, 0.95, 0.0, 1.0),
        (1, 1, 0.95, 20.0, -19.0),
    ],
)
def test_burn_and_budget_are_as_by_hand(bad, of, target, burn, left):
    assert burn_rate(bad / of, target) == pytest.approx(burn)
    assert budget_left(bad / of, target) == pytest.approx(left)


def test_the_factors_are_the_part_of_the_budget_that_they_stand_for():
    slo = shipped()
    spent = [round(burn.factor * burn.long.seconds / slo.period.seconds, 4) for burn in slo.burn_alerts]
    assert spent == [0.02, 0.05, 0.1, 0.1]


def test_every_threshold_is_a_bucket_bound():
    buckets = {
        "grpc_server_handling_seconds": rpc_metrics.SECONDS_BUCKETS,
        "registry_upload_served_bytes_per_second": metrics._THROUGHPUT,
        "registry_stage_event_delay_seconds": metrics._STAGE_DELAY_SECONDS,
    }
    sources = [each.source for each in shipped().objectives if isinstance(each.source, HistogramSource)]
    assert {source.metric for source in sources} == buckets.keys()
    for source in sources:
        assert (source.at_most or source.at_least) in buckets[source.metric], source
