"""What a table shows of deployments, runs, drift and consumers."""

from __future__ import annotations

from registry_grpc.cli.output import Columns, short_enum, when
from registry_grpc.cli.views import last, name
from registry_grpc.v1 import deployments_pb2


def _model(version: str) -> str:
    return version.split("/")[3] if version.count("/") > 3 else ""  # noqa: PLR2004 -- projects/P/models/M/…


def _short(version: str) -> str:
    return f"{_model(version)}/{last(version)}" if version else ""


def _state(deployment: deployments_pb2.Deployment) -> str:
    said = short_enum(deployments_pb2.DeploymentState, deployment.state, "DEPLOYMENT_STATE_")
    return f"{said} (stale)" if deployment.stale else said


DEPLOYMENTS: Columns = {
    "id": lambda one: last(one.name),
    "version": lambda one: _short(one.version),
    "follows": lambda one: one.stage,
    "environment": lambda one: one.environment,
    "cluster": lambda one: one.cluster,
    "namespace": lambda one: one.namespace,
    "workload": lambda one: f"{one.workload}[{one.slot}]" if one.slot else one.workload,
    "state": _state,
    "since": lambda one: when(one, "start_time"),
    "heard": lambda one: when(one, "heartbeat_time"),
}
DEPLOYMENT: Columns = {
    "name": name,
    **{heading: column for heading, column in DEPLOYMENTS.items() if heading != "id"},
    "traffic": lambda one: f"{one.traffic_percent} %" if one.HasField("traffic_percent") else "",
    "message": lambda one: one.message,
    "uri": lambda one: one.uri,
    "reporter": lambda one: one.reporter,
    "retired": lambda one: when(one, "retire_time"),
    "digest": lambda one: one.manifest_digest,
    "etag": lambda one: one.etag,
}
RUNS: Columns = {
    "version": lambda run: _short(run.version),
    "environment": lambda run: run.environment,
    "cluster": lambda run: run.cluster,
    "namespace": lambda run: run.namespace,
    "workload": lambda run: f"{run.workload}[{run.slot}]" if run.slot else run.workload,
    "from": lambda run: when(run, "start_time"),
    "to": lambda run: when(run, "end_time"),
    "by": lambda run: run.reporter,
}
DRIFTS: Columns = {
    "workload": lambda one: one.deployment.workload,
    "environment": lambda one: one.deployment.environment,
    "cluster": lambda one: one.deployment.cluster,
    "runs": lambda one: _short(one.deployment.version),
    "should run": lambda one: _short(one.desired_version),
    "why": lambda one: [short_enum(deployments_pb2.Drift.Kind, kind, "KIND_") for kind in one.kinds],
    "since": lambda one: when(one, "since_time"),
    "id": lambda one: last(one.deployment.name),
}
CONSUMERS: Columns = {
    "day": lambda one: one.day,
    "principal": lambda one: one.principal,
    "version": lambda one: _short(one.version),
    "use": lambda one: short_enum(deployments_pb2.Consumer.Use, one.use, "USE_"),
    "count": lambda one: one.count,
}
