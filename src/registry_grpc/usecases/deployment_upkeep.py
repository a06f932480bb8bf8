"""What deployments do, and what is done to them: they hold versions, go stale, and go with their project."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Violation
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import Model, Project
from registry_grpc.ports.holders import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.deployments import Deployment
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.store import Reader, Store, Unit

BATCH = 100


class DeploymentHolders:
    """Deployments that are heard of. Implements `ports.holders.Holders`."""

    def of_version(self, reader: Reader, _project: Project, version: Version) -> Sequence[Violation]:
        """See the port."""
        return _violations(reader.deployments.holding(version_uid=version.uid, limit=MOST))

    def of_model(self, reader: Reader, _project: Project, model: Model) -> Sequence[Violation]:
        """See the port."""
        return _violations(reader.deployments.holding(model_uid=model.uid, limit=MOST))

    def of_project(self, reader: Reader, project: Project) -> Sequence[Violation]:
        """See the port."""
        return _violations(reader.deployments.holding(project=project.name.project, limit=MOST))


def _violations(deployments: Iterable[Deployment]) -> Sequence[Violation]:
    return [
        Violation(
            str(one.name),
            f"{one.place.workload} in {one.place.environment} runs version {one.version.number}; "
            "roll it over to another version, or retire the deployment",
        )
        for one in deployments
    ]


@dataclass(frozen=True, slots=True)
class MarkStale:
    """Tells, once, of each deployment that nothing was heard of for longer than it had promised. Safe to run twice."""

    store: Store
    budget_s: float = 5.0

    def __call__(self) -> int:
        """How many went stale."""
        end, marked = time.monotonic() + self.budget_s, 0
        # Every few seconds there is nothing to write.
        if not self.store.read(lambda reader: reader.deployments.is_any_silent()):
            return 0
        while time.monotonic() < end:
            some = self.store.write(self._mark).get()
            marked += some
            if some < BATCH:
                break
        return marked

    @staticmethod
    def _mark(unit: Unit) -> int:
        silent = unit.deployments.silent(BATCH)
        if not silent:
            return 0
        revision = unit.advance("system/deployments")
        for one in silent:
            after = replace(one, marked_stale=True, stale=True, revision=revision)
            unit.deployments.put(after)
            unit.record(Action.WENT_STALE, after)
        return len(silent)


def forget_deployments(unit: Unit, gone: Project | Model) -> None:
    """Remove what a project or model leaves that is purged: another one may be made under its name.

    What still runs a version of a purged model stays, and is drift; so does the history of what ran in the project.
    """
    if isinstance(gone, Model):
        unit.deployments.forget(model_uid=gone.uid)
        unit.consumers.forget(gone.uid)
    else:
        unit.deployments.forget(project=gone.name.project)
