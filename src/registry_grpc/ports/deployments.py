"""Deployments, their runs, and who used which version. As `repositories` otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime

    from registry_grpc.domain.consumers import Consumer, Counted
    from registry_grpc.domain.deployments import (
        Deployment,
        DeploymentFilter,
        DeploymentRun,
        DeploymentState,
        RunFilter,
    )
    from registry_grpc.domain.drift import Observation
    from registry_grpc.domain.names import DeploymentName, ModelName, VersionName


class Beats(NamedTuple):
    """What a heartbeat came to."""

    heard: frozenset[str]
    """Ids of the deployments that are not retired."""
    returned: tuple[Deployment, ...]
    """Of those, the ones that were marked stale, locked and as they are now, still marked."""


class Deployments(Protocol):
    """Deployments. `stale` is judged by `Reader.now` whenever one is read."""

    def get(self, name: DeploymentName) -> Deployment | None:
        """One deployment, also a retired one; None when it is unknown or its project is deleted."""

    def lock(self, name: DeploymentName) -> Deployment | None:
        """As `get`, locked to the end of the transaction."""

    def find(self, project: str, ids: Collection[str]) -> Sequence[Deployment]:
        """Those of these ids that are there, in no order."""

    def list(self, wanted: DeploymentFilter, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Deployment]:
        """The newest first; a keyset page by (create_time, id), both falling."""

    def present(self, project: str, model: str, *, after: str, limit: int) -> Sequence[Deployment]:
        """Those that are not retired, of a project or (`model` not empty) of one model, by id."""

    def put(self, deployment: Deployment) -> None:
        """Insert or replace. After `Unit.advance`."""

    def touch(self, deployment: Deployment, reporter: str) -> bool:
        """Note that it was reported again unchanged; False when it is not as given any more. Takes no revision."""

    def beat(self, project: str, ids: Collection[str]) -> Beats:
        """Note, by one statement, that these are heard of. Takes no revision."""

    def is_any_silent(self) -> bool:
        """Whether `silent` would find one."""

    def silent(self, limit: int) -> Sequence[Deployment]:
        """Stale ones that are not marked so, the longest first, locked."""

    def holding(
        self, *, version_uid: str = "", model_uid: str = "", project: str = "", limit: int
    ) -> Sequence[Deployment]:
        """Those neither retired nor stale, of a version, of a model, or of the models of a project not deleted."""

    def drifting(
        self,
        wanted: DeploymentFilter,
        archives: Collection[str],
        *,
        after: str,
        limit: int,
    ) -> Sequence[Observation]:
        """Those for which `drift_of` finds something, by id; `states` and `stale_only` of the filter do not count."""

    def count(self) -> tuple[Mapping[DeploymentState, int], int]:
        """How many there are in each state, and how many are stale, in the whole registry."""

    def forget(self, *, model_uid: str = "", project: str = "") -> None:
        """Remove the retired ones of a model that is purged, or everything of a project, runs too."""


class DeploymentRuns(Protocol):
    """Runs. A deployment has one open run at most, and its runs do not overlap."""

    def last(self, name: DeploymentName) -> DeploymentRun | None:
        """The newest run of a deployment."""

    def begin(self, run: DeploymentRun) -> None:
        """Insert. After `Unit.advance`."""

    def end(self, name: DeploymentName, time: datetime) -> None:
        """End the open run, if there is one. After `Unit.advance`."""

    def list(self, wanted: RunFilter, *, before: tuple[datetime, int] | None, limit: int) -> Sequence[DeploymentRun]:
        """The newest first; a keyset page by (start_time, revision), both falling."""


class Consumers(Protocol):
    """Who used which version, by day."""

    def add(self, counted: Sequence[Counted]) -> None:
        """Add to the rows of today, by the database's clock. What names no version is dropped. Takes no revision."""

    def list(
        self,
        model: ModelName,
        version: VersionName | None,
        *,
        first: date,
        last: date,
        after: tuple[str, int, str, int, str] | None,
        limit: int,
    ) -> Sequence[Consumer]:
        """The newest day first, then the greatest count, then by principal, version and use; a keyset page by these.

        Raises: MODEL_NOT_FOUND, PROJECT_NOT_FOUND.
        """

    def forget(self, model_uid: str) -> None:
        """Remove what is told of a model that is purged."""

    def is_any_before(self, day: date) -> bool:
        """Whether there is a row of a day before this one."""

    def expire(self, before: date, limit: int) -> int:
        """Remove rows of days before this one, so many at most; returns how many there were."""
