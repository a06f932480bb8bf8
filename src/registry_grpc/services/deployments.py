"""DeploymentService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.deployments import DeploymentFilter, RunFilter, deployment_not_found
from registry_grpc.domain.errors import PolicyError, invalid_field
from registry_grpc.domain.names import DeploymentName, ModelName, ProjectName, VersionName
from registry_grpc.services.codec.deployments import (
    STATE,
    consumer_to_wire,
    day_from_wire,
    deployment_to_wire,
    drift_to_wire,
    report_from_wire,
    run_to_wire,
)
from registry_grpc.services.codec.times import EPOCH, optional_time_from_wire
from registry_grpc.services.context import call_context
from registry_grpc.usecases.checks import require_same_project
from registry_grpc.usecases.deployments import followed
from registry_grpc.v1 import deployments_pb2, deployments_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry_grpc.domain.access import Grant
    from registry_grpc.domain.deployments import Deployment
    from registry_grpc.services.context import CallContext
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases import consumers, deployments, drift, reports

    Narrowed = (
        deployments_pb2.ListDeploymentsRequest
        | deployments_pb2.ListDeploymentRunsRequest
        | deployments_pb2.GetDriftRequest
    )

_MICROSECOND = timedelta(microseconds=1)
_SEE, _REPORT, _RETIRE, _LIST = "deployments.get", "deployments.report", "deployments.retire", "deployments.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentVerbs:
    """The use cases of deployments."""

    report: reports.ReportDeployment
    heartbeat: deployments.HeartbeatDeployments
    retire: deployments.RetireDeployment
    get: deployments.GetDeployment
    list: deployments.ListDeployments
    runs: deployments.ListDeploymentRuns
    drift: drift.GetDrift
    consumers: consumers.ListConsumers


class DeploymentServicer(deployments_pb2_grpc.DeploymentServiceServicer):
    """Deployments, drift and consumers."""

    def __init__(self, edge: Edge, pages: Pages, verbs: DeploymentVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs

    async def ReportDeployment(
        self, request: deployments_pb2.ReportDeploymentRequest, context: Context
    ) -> deployments_pb2.Deployment:
        project = ProjectName.parse(request.parent, "parent")
        report = report_from_wire(request.deployment)
        return await self._edge.mutate(
            request, lambda call: self._verbs.report(call, project, report), deployment_to_wire
        )

    async def HeartbeatDeployments(
        self, request: deployments_pb2.HeartbeatDeploymentsRequest, context: Context
    ) -> deployments_pb2.HeartbeatDeploymentsResponse:
        project = ProjectName.parse(request.parent, "parent")
        names = [DeploymentName.parse(name, f"names[{index}]") for index, name in enumerate(request.names)]
        may = _may_report(call_context(), project)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.heartbeat(call, project, names, may),
            lambda unknown: deployments_pb2.HeartbeatDeploymentsResponse(unknown=[str(name) for name in unknown]),
        )

    async def RetireDeployment(
        self, request: deployments_pb2.RetireDeploymentRequest, context: Context
    ) -> deployments_pb2.Deployment:
        name, judge = DeploymentName.parse(request.name), _judge(call_context(), _RETIRE)
        return await self._edge.mutate(
            request, lambda call: self._verbs.retire(call, name, request.etag, judge), deployment_to_wire
        )

    async def GetDeployment(
        self, request: deployments_pb2.GetDeploymentRequest, context: Context
    ) -> deployments_pb2.Deployment:
        name, judge = DeploymentName.parse(request.name), _judge(call_context(), _SEE)
        return deployment_to_wire(await self._edge.read(lambda: self._verbs.get(name, judge)))

    async def ListDeployments(
        self, request: deployments_pb2.ListDeploymentsRequest, context: Context
    ) -> deployments_pb2.ListDeploymentsResponse:
        project, model, number = _subject(request)
        wanted = DeploymentFilter(
            project=project,
            model=model,
            number=number,
            environment=request.environment,
            cluster=request.cluster,
            states=frozenset(STATE.from_wire(state, f"states[{at}]") for at, state in enumerate(request.states)),
            stale_only=request.stale_only,
            only=call_context().rights.models_with(_LIST, project),
        )
        page = self._pages.open(request)
        after = None if page.after is None else (_time(page.after[0]), str(page.after[1]))
        found = await self._edge.read(lambda: self._verbs.list(wanted, after=after, limit=page.limit))
        items, token = page.close(
            found, lambda one: (_micros(one.create_time), one.name.deployment), deployment_to_wire
        )
        return deployments_pb2.ListDeploymentsResponse(deployments=items, next_page_token=token)

    async def ListDeploymentRuns(
        self, request: deployments_pb2.ListDeploymentRunsRequest, context: Context
    ) -> deployments_pb2.ListDeploymentRunsResponse:
        project, model, number = _subject(request)
        first, last = optional_time_from_wire(request, "from_time"), optional_time_from_wire(request, "to_time")
        if first is not None and last is not None and last < first:
            raise invalid_field("to_time", "is before from_time")
        wanted = RunFilter(
            project=project,
            model=model,
            number=number,
            environment=request.environment,
            cluster=request.cluster,
            ends_after=first,
            # A moment: what began in this very microsecond ran at it.
            begins_before=last + _MICROSECOND if last is not None and last == first else last,
            only=call_context().rights.models_with(_LIST, project),
        )
        page = self._pages.open(request)
        before = None if page.after is None else (_time(page.after[0]), int(page.after[1]))
        found = await self._edge.read(lambda: self._verbs.runs(wanted, before=before, limit=page.limit))
        items, token = page.close(found, lambda run: (_micros(run.start_time), run.revision), run_to_wire)
        return deployments_pb2.ListDeploymentRunsResponse(runs=items, next_page_token=token)

    async def GetDrift(
        self, request: deployments_pb2.GetDriftRequest, context: Context
    ) -> deployments_pb2.GetDriftResponse:
        project, model, _ = _subject(request)
        wanted = DeploymentFilter(
            project=project,
            model=model,
            environment=request.environment,
            cluster=request.cluster,
            only=call_context().rights.models_with(_LIST, project),
        )
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.drift(wanted, after=after, limit=page.limit))
        items, token = page.close(found.drifts, lambda one: (one.deployment.name.deployment,), drift_to_wire)
        return deployments_pb2.GetDriftResponse(drifts=items, next_page_token=token, revision=found.revision)

    async def ListConsumers(
        self, request: deployments_pb2.ListConsumersRequest, context: Context
    ) -> deployments_pb2.ListConsumersResponse:
        version = VersionName.parse(request.parent, "parent") if "/versions/" in request.parent else None
        model = version.parent if version else ModelName.parse(request.parent, "parent")
        first = day_from_wire(request.first_day, "first_day")
        last = day_from_wire(request.last_day, "last_day")
        page = self._pages.open(request)
        key = page.after
        after = (str(key[0]), int(key[1]), str(key[2]), int(key[3]), str(key[4])) if key else None
        found = await self._edge.read(
            lambda: self._verbs.consumers(model, version, first=first, last=last, after=after, limit=page.limit)
        )
        items, token = page.close(
            found, lambda one: (one.day, one.count, one.principal, one.version.number, one.use.value), consumer_to_wire
        )
        return deployments_pb2.ListConsumersResponse(consumers=items, next_page_token=token)


def _subject(request: Narrowed) -> tuple[str, str, int]:
    """Project, model and number a list is about; empty and 0 for all.

    Raises: INVALID_RESOURCE_NAME, INVALID_FIELD for what lies in another project, or for a model that contradicts.
    """
    project, model, number = ProjectName.parse(request.parent, "parent").project, "", 0
    if request.model:
        named = ModelName.parse(request.model, "model")
        require_same_project(project, named.project, "model")
        model = named.model
    if not isinstance(request, deployments_pb2.GetDriftRequest) and request.version:
        version = VersionName.parse(request.version, "version")
        require_same_project(project, version.project, "version")
        if model not in {"", version.model}:
            raise invalid_field("version", f"is one of model {version.model!r}, not of {model!r}")
        model, number = version.model, version.number
    return project, model, number


def _judge(caller: CallContext, permission: str) -> Callable[[Deployment], Grant]:
    """Who may not see the model of a deployment hears that there is none."""

    def judge(deployment: Deployment) -> Grant:
        rights, project, model = caller.rights, deployment.version.project, deployment.version.model
        if rights.find(_SEE, project, model) is None and rights.find(permission, project, model) is None:
            raise PolicyError.as_if(deployment_not_found(deployment.name))
        return rights.require(permission, project, model, str(deployment.name))

    return judge


def _may_report(caller: CallContext, project: ProjectName) -> Callable[[Deployment], bool] | None:
    """Which deployments the caller may speak for, by their model and the stage they follow; None for all."""
    whole = caller.rights.find(_REPORT, project.project)
    if whole is not None and not whole.conditions:
        return None

    def may(deployment: Deployment) -> bool:
        found = caller.rights.find(_REPORT, deployment.version.project, deployment.version.model)
        if found is None:
            return False
        stages = followed(deployment.stage)
        return not found.conditions or any(one.allows(stages, ()) for one in found.conditions)

    return may


def _micros(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND


def _time(micros: str | int) -> datetime:
    return EPOCH + int(micros) * _MICROSECOND
