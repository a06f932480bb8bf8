"""What the composition root adds for deployments: their servicer, the leader's jobs for them, and their gauges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.server.leader import Job
from registry_grpc.services.deployments import DeploymentServicer, DeploymentVerbs
from registry_grpc.usecases import consumers, deployments
from registry_grpc.usecases.deployment_upkeep import MarkStale
from registry_grpc.usecases.drift import GetDrift
from registry_grpc.usecases.reports import ReportDeployment

if TYPE_CHECKING:
    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages

STALE_S = 10.0
"""The shortest heartbeat_ttl: what went stale is told of soon after."""
GAUGES_S = 30.0
EXPIRE_S = 3600.0


def deployment_servicer(edge: Edge, pages: Pages, ids: Ids) -> DeploymentServicer:
    """The servicer with its use cases."""
    store = edge.store
    verbs = DeploymentVerbs(
        report=ReportDeployment(store, ids),
        heartbeat=deployments.HeartbeatDeployments(store),
        retire=deployments.RetireDeployment(store),
        get=deployments.GetDeployment(store),
        list=deployments.ListDeployments(store),
        runs=deployments.ListDeploymentRuns(store),
        drift=GetDrift(store),
        consumers=consumers.ListConsumers(store),
    )
    return DeploymentServicer(edge, pages, verbs)


def deployment_jobs(store: Store, metrics: Metrics) -> list[Job]:
    """What the leader does for deployments."""
    return [
        Job("stale deployments", STALE_S, MarkStale(store)),
        Job("deployment gauges", GAUGES_S, DeploymentGauges(store, metrics)),
        Job("forget consumers", EXPIRE_S, consumers.ExpireConsumers(store)),
    ]


@dataclass(frozen=True, slots=True)
class DeploymentGauges:
    """How many deployments there are, and how many of them nobody hears of."""

    store: Store
    metrics: Metrics

    def __call__(self) -> None:
        """Read once and set."""
        states, stale = self.store.read(lambda reader: reader.deployments.count())
        for state in DeploymentState:
            self.metrics.deployments.labels(state.value).set(states.get(state, 0))
        self.metrics.deployments_stale.set(stale)
