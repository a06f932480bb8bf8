"""How what runs differs from what should run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.drift import archive_stages, drift_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.deployments import DeploymentFilter
    from registry_grpc.domain.drift import Drift
    from registry_grpc.ports.store import Reader, Store


class Drifts(NamedTuple):
    """What differs, as of one revision."""

    drifts: Sequence[Drift]
    revision: int


@dataclass(frozen=True, slots=True)
class GetDrift:
    """Deployments of a project that are not as they should be, by id."""

    store: Store

    def __call__(self, wanted: DeploymentFilter, *, after: str, limit: int) -> Drifts:
        """A keyset page, read at one revision.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Drifts:
            project = reader.projects.get(wanted.project)
            archives = archive_stages(project)
            seen = reader.deployments.drifting(wanted, archives, after=after, limit=limit)
            found = (drift_of(one, archives, reader.now) for one in seen)
            return Drifts([one for one in found if one is not None], reader.feed.head())

        return self.store.read(work, snapshot=True)
