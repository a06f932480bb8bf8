"""Metrics of several processes added up."""

import json

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from registry_grpc.observability.metrics import Metrics
from registry_grpc.observability.sums import Sums, snapshot


def taken(metrics):
    return json.loads(snapshot(metrics.registry, metrics.modes))


def value(sums, living, name, **labels):
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in sums.total(living)
        for sample in metric.samples
    }
    return samples[name, tuple(sorted(labels.items()))]


def test_counters_and_histograms_add_up_and_gauges_by_their_kind():
    one, two = (Metrics(CollectorRegistry(), "1") for _ in range(2))
    for metrics, number in ((one, 1), (two, 3)):
        metrics.auth_failures.labels("missing").inc(number)
        metrics.storage_seconds.labels("put").observe(number)
        metrics.uploads_in_progress.set(number)
        metrics.feed_lag_seconds.set(number)
        metrics.feed_revision.set(number)
    two.storage_bytes.labels("live").set(7)
    one.storage_bytes.labels("live").set(5)
    living, sums = [taken(one), taken(two)], Sums()
    assert value(sums, living, "registry_auth_failures_total", reason="missing") == 4
    assert value(sums, living, "registry_storage_seconds_sum", op="put") == 4
    assert value(sums, living, "registry_storage_seconds_bucket", op="put", le="1.0") == 1
    assert value(sums, living, "registry_uploads_in_progress") == 4
    assert value(sums, living, "registry_feed_lag_seconds") == 3
    assert value(sums, living, "registry_feed_revision") == 1
    assert value(sums, living, "registry_storage_bytes", state="live") == 7
    assert value(sums, living, "registry_build_info", version="1") == 1


def test_what_the_departed_counted_stays_and_what_they_measured_goes():
    gone, next_ = (Metrics(CollectorRegistry(), "1") for _ in range(2))
    sums = Sums()
    for _ in range(3):
        gone.auth_failures.labels("missing").inc(2)
        gone.uploads_in_progress.set(9)
        sums.depart(taken(gone))
    next_.auth_failures.labels("missing").inc()
    assert value(sums, [taken(next_)], "registry_auth_failures_total", reason="missing") == 2 + 4 + 6 + 1
    assert value(sums, [taken(next_)], "registry_uploads_in_progress") == 0


def test_a_sum_of_one_reads_as_that_one():
    metrics = Metrics(CollectorRegistry(), "1")
    metrics.auth_failures.labels("expired").inc(3)

    class Total(Collector):
        def collect(self):
            return Sums().total([taken(metrics)])

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Total())
    assert generate_latest(registry) == generate_latest(metrics.registry)
