"""The mutations of deployments: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import deployments_pb2
from tests.kit.catalogue import Catalogue, new_id


def _report(catalogue: Catalogue) -> deployments_pb2.ReportDeploymentRequest:
    deployment = deployments_pb2.Deployment(
        version=catalogue.ready(catalogue.model()).name,
        environment="prod",
        workload=new_id("w"),
        state=deployments_pb2.DEPLOYMENT_STATE_SERVING,
    )
    return deployments_pb2.ReportDeploymentRequest(parent=catalogue.parent, deployment=deployment)


def report_deployment(catalogue: Catalogue) -> Any:
    request = _report(catalogue)
    other = deployments_pb2.Deployment()
    other.CopyFrom(request.deployment)
    other.message = "other"
    return request, {"deployment": other}


def retire_deployment(catalogue: Catalogue) -> Any:
    name = catalogue.api.deployments.ReportDeployment(_report(catalogue)).name
    return deployments_pb2.RetireDeploymentRequest(name=name), {"etag": "other"}


DEPLOYMENT_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "DeploymentService.ReportDeployment": report_deployment,
    "DeploymentService.RetireDeployment": retire_deployment,
}
DEPLOYMENT_READS = {
    "DeploymentService.GetDeployment",
    "DeploymentService.GetDrift",
    "DeploymentService.ListConsumers",
    "DeploymentService.ListDeploymentRuns",
    "DeploymentService.ListDeployments",
}
