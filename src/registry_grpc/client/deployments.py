"""What runs where: report it, keep it fresh, ask for it, and for what differs from what should run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.client.connection import Pages
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.metadata import message, timestamp
from registry_grpc.client.stages import StageCalls
from registry_grpc.v1 import deployments_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime, timedelta

    from registry_grpc.client.references import Reference

_STATES = "DEPLOYMENT_STATE_"


class DeploymentCalls(StageCalls):
    """Deployments, drift and consumers. Every method raises RegistryError.

    A deployment is given as its resource name, as a Deployment, or as its id in the project of this client.
    """

    def report(
        self,
        ref: str | Reference,
        *,
        environment: str,
        workload: str,
        state: str = "serving",
        cluster: str = "",
        namespace: str = "",
        slot: str = "",
        stage: str = "",
        heartbeat_ttl: timedelta | None = None,
        start_time: datetime | None = None,
        **fields: Any,  # noqa: ANN401 -- checked by field
    ) -> deployments_pb2.Deployment:
        """The deployment of the version that `ref` stands for; one that is known is changed, or its time renewed.

        `state` is pending, rolling_out, serving, degraded or failed. `stage` is the one it follows; when left out it is
        that of `ref`, where `ref` names a stage. `fields` are manifest_digest, traffic_percent, message, uri,
        annotations and etag. After `heartbeat_ttl` (5 minutes unless given) without a report or heartbeat it is stale.
        """
        version, digest, follows = self._running(ref)
        made = message(deployments_pb2.Deployment, {"manifest_digest": digest, **fields}, "deployment")
        for name, value in {
            "version": version,
            "stage": stage or follows,
            "environment": environment,
            "cluster": cluster,
            "namespace": namespace,
            "workload": workload,
            "slot": slot,
            "state": _state(state),
        }.items():
            setattr(made, name, value)
        if heartbeat_ttl is not None:
            made.heartbeat_ttl.FromTimedelta(heartbeat_ttl)
        if start_time is not None:
            made.start_time.CopyFrom(timestamp(start_time, "start_time"))
        request = deployments_pb2.ReportDeploymentRequest(parent=version.partition("/models/")[0], deployment=made)
        return self._connection.write(self._connection.stubs.deployments.ReportDeployment, request)

    def heartbeat(self, *deployments: str | deployments_pb2.Deployment) -> list[str]:
        """Say that these, at most 1000 of one project, still run what was reported; names of those to report anew."""
        names = [self.deployment_name(each) for each in deployments]
        parents = {name.partition("/deployments/")[0] for name in names}
        if len(parents) != 1:
            raise InvalidArgument("a heartbeat is for deployments of one project; make one call for each project")
        request = deployments_pb2.HeartbeatDeploymentsRequest(parent=parents.pop(), names=names)
        answer = self._connection.write(self._connection.stubs.deployments.HeartbeatDeployments, request)
        return list(answer.unknown)

    def retire(self, deployment: str | deployments_pb2.Deployment, *, etag: str = "") -> deployments_pb2.Deployment:
        """The retired deployment: it holds no version any more. A report brings it back."""
        request = deployments_pb2.RetireDeploymentRequest(name=self.deployment_name(deployment), etag=etag)
        return self._connection.write(self._connection.stubs.deployments.RetireDeployment, request)

    def get(self, deployment: str | deployments_pb2.Deployment) -> deployments_pb2.Deployment:
        """One deployment, also a retired one."""
        request = deployments_pb2.GetDeploymentRequest(name=self.deployment_name(deployment))
        return self._connection.read(self._connection.stubs.deployments.GetDeployment, request)

    def list(
        self,
        ref: str = "",
        *,
        environment: str = "",
        cluster: str = "",
        states: Iterable[str] = (),
        stale_only: bool = False,
        page_size: int = 0,
    ) -> Iterable[deployments_pb2.Deployment]:
        """Deployments, the newest first: of the project, of a model, or of the version `ref` stands for.

        Retired ones only when `states` names them.
        """
        parent, model, version = self._subject(ref)
        wanted = [_state(state) for state in states]

        def fetch(token: str) -> deployments_pb2.ListDeploymentsResponse:
            request = deployments_pb2.ListDeploymentsRequest(
                parent=parent,
                model=model,
                version=version,
                environment=environment,
                cluster=cluster,
                states=wanted,
                stale_only=stale_only,
                page_size=page_size,
                page_token=token,
            )
            return self._connection.read(self._connection.stubs.deployments.ListDeployments, request)

        return Pages[deployments_pb2.Deployment](fetch, "deployments")

    def runs(
        self,
        ref: str = "",
        *,
        environment: str = "",
        cluster: str = "",
        from_time: datetime | None = None,
        to_time: datetime | None = None,
        page_size: int = 0,
    ) -> Iterable[deployments_pb2.DeploymentRun]:
        """What ran where and when, the newest first; with the same time twice: what ran at that moment.

        Raises: InvalidArgument for a time without a time zone.
        """
        parent, model, version = self._subject(ref)
        begin = None if from_time is None else timestamp(from_time, "from_time")
        end = None if to_time is None else timestamp(to_time, "to_time")

        def fetch(token: str) -> deployments_pb2.ListDeploymentRunsResponse:
            request = deployments_pb2.ListDeploymentRunsRequest(
                parent=parent,
                model=model,
                version=version,
                environment=environment,
                cluster=cluster,
                from_time=begin,
                to_time=end,
                page_size=page_size,
                page_token=token,
            )
            return self._connection.read(self._connection.stubs.deployments.ListDeploymentRuns, request)

        return Pages[deployments_pb2.DeploymentRun](fetch, "runs")

    def drift(
        self, model: str = "", *, environment: str = "", cluster: str = "", page_size: int = 0
    ) -> Iterable[deployments_pb2.Drift]:
        """Deployments that differ from what should run; none when all is well."""
        name = self.model_name(model) if model else ""
        parent = name.partition("/models/")[0] or self.project_name()

        def fetch(token: str) -> deployments_pb2.GetDriftResponse:
            request = deployments_pb2.GetDriftRequest(
                parent=parent,
                model=name,
                environment=environment,
                cluster=cluster,
                page_size=page_size,
                page_token=token,
            )
            return self._connection.read(self._connection.stubs.deployments.GetDrift, request)

        return Pages[deployments_pb2.Drift](fetch, "drifts")

    def consumers(
        self, ref: str, *, first_day: date | None = None, last_day: date | None = None, page_size: int = 0
    ) -> Iterable[deployments_pb2.Consumer]:
        """Who used the versions of a model, or the version `ref` stands for, by day; the last 30 days unless given."""
        _, model, version = self._subject(ref)

        def fetch(token: str) -> deployments_pb2.ListConsumersResponse:
            request = deployments_pb2.ListConsumersRequest(
                parent=version or model,
                first_day=first_day.isoformat() if first_day else "",
                last_day=last_day.isoformat() if last_day else "",
                page_size=page_size,
                page_token=token,
            )
            return self._connection.read(self._connection.stubs.deployments.ListConsumers, request)

        return Pages[deployments_pb2.Consumer](fetch, "consumers")

    def deployment_name(self, deployment: str | deployments_pb2.Deployment) -> str:
        """Resource name of a deployment in any form of this class."""
        text = deployment.name if isinstance(deployment, deployments_pb2.Deployment) else deployment
        return text if "/" in text else f"{self.project_name()}/deployments/{text}"

    def _running(self, ref: str | Reference) -> tuple[str, str, str]:
        """Version, the digest that `ref` pins or stands for, and the stage that it names."""
        found = self.reference(ref)
        if found.number is not None:
            return found.version_name, found.digest or "", ""
        answer = self.resolve(found)
        return answer.version, answer.manifest_digest, answer.stage if found.pointer == answer.stage else ""

    def _subject(self, ref: str) -> tuple[str, str, str]:
        """Project, model and version that a list is about; the last two empty for all of them."""
        if not ref:
            return self.project_name(), "", ""
        found = self.reference(ref)
        parent = found.model_name.partition("/models/")[0]
        if found.number is not None and not found.digest:
            return parent, found.model_name, found.version_name
        if found.pointer or found.digest:
            return parent, found.model_name, self.resolve(found).version
        return parent, found.model_name, ""


def _state(text: str) -> deployments_pb2.DeploymentState.ValueType:
    kind = deployments_pb2.DeploymentState
    known = {name.removeprefix(_STATES).lower(): number for name, number in kind.items() if number}
    if text.lower() not in known:
        raise InvalidArgument(f"state {text!r} is none of {', '.join(known)}")
    return known[text.lower()]
