"""Deployments: report, heartbeat, retire, read and list. What a caller may not see is as if it were not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.access import Grant
from registry_grpc.domain.deployments import Deployment, DeploymentState, deployment_not_found
from registry_grpc.domain.events import Action
from registry_grpc.usecases.checks import require_etag, require_same_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.deployments import DeploymentFilter, DeploymentRun, RunFilter
    from registry_grpc.domain.names import DeploymentName, ProjectName
    from registry_grpc.ports.store import Reader, Store, Unit

Judge = Callable[[Deployment], Grant]
"""The permission of a caller on a deployment; raises what the caller is to hear when there is none."""


def known_deployment(reader: Reader, name: DeploymentName) -> Deployment:
    """Raises: DEPLOYMENT_NOT_FOUND."""
    found = reader.deployments.get(name)
    if found is None:
        raise deployment_not_found(name)
    return found


@dataclass(frozen=True, slots=True)
class HeartbeatDeployments:
    """Notes that deployments still run what was last reported. Takes a revision only for those that had gone stale."""

    store: Store

    def __call__(
        self,
        call: Call[Sequence[DeploymentName]],
        project: ProjectName,
        names: Sequence[DeploymentName],
        may: Callable[[Deployment], bool] | None,
    ) -> Committed[Sequence[DeploymentName]]:
        """Those of the names that must be reported anew, in their order; `may` None stands for all of the project.

        Raises: INVALID_FIELD for a name of another project, PROJECT_NOT_FOUND.
        """
        for index, name in enumerate(names):
            require_same_project(project.project, name.project, f"names[{index}]")

        def work(unit: Unit) -> Sequence[DeploymentName]:
            unit.projects.get(project.project)
            ids = {name.deployment for name in names}
            if may is not None:
                ids = {one.name.deployment for one in unit.deployments.find(project.project, ids) if may(one)}
            beats = unit.deployments.beat(project.project, ids)
            come_back(unit, str(project), beats.returned)
            return [name for name in names if name.deployment not in beats.heard]

        return self.store.write(work, call)


def come_back(unit: Unit, resource: str, returned: Sequence[Deployment]) -> None:
    """Take the mark off deployments that are heard of again. Takes a revision, when there are any."""
    if not returned:
        return
    revision = unit.advance(resource)
    for one in returned:
        after = replace(one, marked_stale=False, stale=False, revision=revision)
        unit.deployments.put(after)
        unit.record(Action.CAME_BACK, after)


@dataclass(frozen=True, slots=True)
class RetireDeployment:
    """Notes that a workload does not run the model any more."""

    store: Store

    def __call__(self, call: Call[Deployment], name: DeploymentName, etag: str, judge: Judge) -> Committed[Deployment]:
        """The retired deployment; retiring a retired one returns it.

        Raises: DEPLOYMENT_NOT_FOUND, ETAG_MISMATCH, what `judge` raises.
        """

        def work(unit: Unit) -> Deployment:
            before = unit.deployments.lock(name)
            if before is None:
                raise deployment_not_found(name)
            judge(before).require(name, stages=followed(before.stage))
            require_etag(before, etag)
            if before.state is DeploymentState.RETIRED:
                return before
            last = unit.deployment_runs.last(name)
            revision = unit.advance(str(name))
            after = replace(
                before,
                state=DeploymentState.RETIRED,
                state_time=unit.now,
                stale=False,
                marked_stale=False,
                reporter=call.principal.name,
                update_time=unit.now,
                retire_time=unit.now,
                revision=revision,
            )
            # A reporter whose clock is ahead may have begun it after now.
            unit.deployment_runs.end(name, max(unit.now, last.start_time) if last else unit.now)
            unit.deployments.put(after)
            unit.record(Action.RETIRED, after)
            return after

        return self.store.write(work, call)


def followed(*stages: str) -> tuple[str, ...]:
    """The stages a call is about, for the conditions of a grant."""
    return tuple(dict.fromkeys(stage for stage in stages if stage))


@dataclass(frozen=True, slots=True)
class GetDeployment:
    """One deployment, also a retired one."""

    store: Store

    def __call__(self, name: DeploymentName, judge: Judge) -> Deployment:
        """Raises: DEPLOYMENT_NOT_FOUND, what `judge` raises."""
        found = self.store.read(lambda reader: known_deployment(reader, name))
        judge(found)
        return found


@dataclass(frozen=True, slots=True)
class ListDeployments:
    """Deployments of a project, the newest first."""

    store: Store

    def __call__(
        self, wanted: DeploymentFilter, *, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Deployment]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Deployment]:
            reader.projects.get(wanted.project)
            return reader.deployments.list(wanted, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListDeploymentRuns:
    """What ran where and when, the newest first."""

    store: Store

    def __call__(
        self, wanted: RunFilter, *, before: tuple[datetime, int] | None, limit: int
    ) -> Sequence[DeploymentRun]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[DeploymentRun]:
            reader.projects.get(wanted.project)
            return reader.deployment_runs.list(wanted, before=before, limit=limit)

        return self.store.read(work)
