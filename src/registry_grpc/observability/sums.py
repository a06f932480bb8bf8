"""The metrics of several processes as one: counters and histograms add up, gauges by their kind.

A process hands over a snapshot when it is asked; nothing of this is on the path of a call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

_ADDED = ("counter", "histogram")
Families = list[dict[str, Any]]


def snapshot(registry: CollectorRegistry, modes: Mapping[str, str]) -> str:
    """Every sample of a process, as JSON. `modes` says of each gauge how it adds up."""
    return json.dumps(
        [
            {
                "name": metric.name,
                "text": metric.documentation,
                "type": metric.type,
                "mode": modes.get(metric.name, "livesum"),
                "samples": [[each.name, each.labels, each.value] for each in metric.samples],
            }
            for metric in registry.collect()
        ]
    )


class Sums:
    """Snapshots added up. The counts of processes that are gone stay in, so that no sum ever falls."""

    def __init__(self) -> None:
        self._departed: list[Families] = []

    def depart(self, last: Families) -> None:
        """Keep what a process had counted when it was last asked."""
        counted = [each for each in last if each["type"] in _ADDED]
        self._departed = [_plain(_total([*self._departed, counted]))]

    def total(self, living: Iterable[Families]) -> list[Metric]:
        """All of it, departed ones included."""
        return _total([*self._departed, *living])


def _total(snapshots: Iterable[Families]) -> list[Metric]:
    metrics: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for families in snapshots:
        for family in families:
            name = family["name"]
            metrics.setdefault(name, Metric(name, family["text"], family["type"]))
            values = sums.setdefault(name, {})
            for sample, labels, value in family["samples"]:
                key = (sample, tuple(labels.items()))
                values[key] = _added(values.get(key), value, _mode(family, sample))
    for name, metric in metrics.items():
        metric.samples = [Sample(sample, dict(labels), value) for (sample, labels), value in sums[name].items()]
    return list(metrics.values())


def _mode(family: dict[str, Any], sample: str) -> str:
    if family["type"] in _ADDED:
        return "livemin" if sample.endswith("_created") else "livesum"
    return str(family["mode"])


def _added(before: float | None, value: float, mode: str) -> float:
    if before is None:
        return value
    # Of what only the leader sets, a leader of before may still hold its last number: never add the two.
    if mode in {"livemax", "mostrecent"}:
        return max(before, value)
    if mode == "livemin":
        return min(before, value)
    return before + value


def _plain(metrics: Iterable[Metric]) -> Families:
    return [
        {
            "name": metric.name,
            "text": metric.documentation,
            "type": metric.type,
            "mode": "livesum",
            "samples": [[each.name, each.labels, each.value] for each in metric.samples],
        }
        for metric in metrics
    ]
