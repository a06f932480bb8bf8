"""Metrics of a controller. No names of models or objects in labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ControllerMetrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        prefix = "registry_controller_"
        self.leader = Gauge(f"{prefix}leader", "1 while this process works.", registry=registry)
        self.deployments = Gauge(f"{prefix}deployments", "ModelDeployments that are followed.", registry=registry)
        self.queue = Gauge(f"{prefix}queue", "ModelDeployments that are due.", registry=registry)
        self.reconciles = Counter(
            f"{prefix}reconciles_total", "Reconciliations: done, failed.", ["result"], registry=registry
        )
        self.seconds = Histogram(f"{prefix}reconcile_seconds", "Duration of a reconciliation.", registry=registry)
        self.rollouts = Counter(
            f"{prefix}rollouts_total", "Rollouts: begun, failed, rolled_back.", ["event"], registry=registry
        )
        self.reports = Counter(
            f"{prefix}reports_total", "Reports to the registry: told, failed.", ["result"], registry=registry
        )
        for result in ("done", "failed"):
            self.reconciles.labels(result)
