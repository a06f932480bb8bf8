"""What a policy of twenty rules adds to PromoteVersion, side by side with none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from registry_grpc.v1 import governance_pb2, metadata_pb2, models_pb2, projects_pb2
from tests.bench.harness import Comparison, Sample, compare
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.server import RegistryServer

_PROMOTIONS = 60
_METRICS = 20
_RULES = (
    *(
        governance_pb2.PolicyRule(
            id=f"metric-{number}",
            metric=governance_pb2.MetricBound(
                metric=governance_pb2.MetricSelector(metric=f"m{number}"),
                comparison=governance_pb2.COMPARISON_AT_LEAST,
                bound=0.0,
            ),
        )
        for number in range(8)
    ),
    *(
        governance_pb2.PolicyRule(
            id=f"holder-{number}",
            metric_against_holder=governance_pb2.MetricAgainstHolder(
                metric=governance_pb2.MetricSelector(metric=f"m{number}"),
                direction=metadata_pb2.Metric.DIRECTION_MAXIMISE,
            ),
        )
        for number in range(4)
    ),
    governance_pb2.PolicyRule(
        id="filled", required_fields=governance_pb2.RequiredFields(paths=["owner", "description", "algorithm"])
    ),
    governance_pb2.PolicyRule(id="staged", earlier_stage=governance_pb2.EarlierStage(stage="staging")),
    governance_pb2.PolicyRule(id="callers", compatible_signature=governance_pb2.CompatibleSignature()),
    governance_pb2.PolicyRule(id="formats", formats=governance_pb2.AllowedFormats(no_executable=True)),
    governance_pb2.PolicyRule(
        id="christmas",
        freeze_windows=governance_pb2.FreezeWindows(
            windows=[governance_pb2.FreezeWindows.Window(days=[7], start="03:00", end="03:01")],
            time_zone="Europe/Berlin",
        ),
    ),
    *(
        governance_pb2.PolicyRule(id=f"cel-{number}", expression=governance_pb2.Expression(expression=text))
        for number, text in enumerate(
            (
                "version.owner == 'bench' && stage == 'production'",
                "version.metrics.all(m, m.value >= 0.0)",
                "!has(holder.name) || version.number != holder.number",
            )
        )
    ),
)


def promotions(server: RegistryServer, rounds: int) -> Comparison:
    """Two versions take turns in production; one project has the policy, the other none."""
    assert len(_RULES) == 20
    places = {"no policy": _place(server, guarded=False), "a policy of 20 rules": _place(server, guarded=True)}
    return compare(
        "PromoteVersion, 1 client, by policies",
        "calls/s",
        {name: _promoting(catalogue) for name, catalogue in places.items()},
        limit="no policy",
        goal="takes at most 1.20x: ≥ 0.83",
        rounds=rounds,
    )


def _place(server: RegistryServer, *, guarded: bool) -> Catalogue:
    stages = [
        projects_pb2.StageDefinition(id="development", initial=True),
        projects_pb2.StageDefinition(id="staging", accepts_from=["*"]),
        projects_pb2.StageDefinition(id="production", exclusive=True, accepts_from=["staging"], displaced_to="staging"),
    ]
    catalogue = Catalogue(server.api(), stages=stages)
    if guarded:
        catalogue.api.governance.CreatePolicy(
            governance_pb2.CreatePolicyRequest(
                parent=catalogue.parent,
                policy_id=new_id("p"),
                policy=governance_pb2.Policy(stages=["production"], rules=_RULES),
            )
        )
    return catalogue


def _promoting(catalogue: Catalogue) -> Callable[[], Sample]:
    metrics = [metadata_pb2.Metric(name=f"m{number}", value=0.5) for number in range(_METRICS)]

    def visit() -> Sample:
        parent = catalogue.api.models.CreateModel(
            models_pb2.CreateModelRequest(parent=catalogue.parent, model_id=new_id("m"))
        ).name
        two = [
            catalogue.ready(parent, owner="bench", description="d", algorithm="gbm", metrics=metrics).name
            for _ in range(2)
        ]
        for name in two:
            catalogue.promote(name, "staging")
        took = []
        for number in range(_PROMOTIONS):
            began = time.monotonic()
            catalogue.promote(two[number % 2], "production")
            took.append(time.monotonic() - began)
        took.sort()
        # The median call: what a round of this size has in hiccups says nothing of policies.
        return Sample(1 / statistics.median(took), {"p50_ms": 1000 * took[len(took) // 2]})

    return visit
