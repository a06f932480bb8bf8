"""What the leader lets go by age or number: versions beyond those a project keeps, tokens long expired."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.resources import VersionState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_grpc.domain.resources import Project, Version
    from registry_grpc.ports.holders import Holders
    from registry_grpc.ports.store import Reader, Store
    from registry_grpc.usecases.deletion import DeleteVersion

PAGE = 100
BUDGET_S = 5.0
TOKENS_AT_ONCE = 1000
TOKEN_REST = timedelta(days=30)
"""How long an expired token is still known by name, so that its use is refused as expired."""
FINALIZED = (VersionState.READY, VersionState.DEPRECATED, VersionState.YANKED)


@dataclass(slots=True)
class KeepNewest:
    """Deletes softly, as `DeleteVersion` does, what is beyond the newest versions that a project keeps of each model.

    Only versions that nothing holds count, and only those go. Safe to run twice at once. Concurrency: one call at a
    time; the next one goes on behind the model where this one ended.
    """

    store: Store
    delete: DeleteVersion
    holders: Sequence[Holders]
    budget_s: float = BUDGET_S
    _place: tuple[str, str] = field(default=("", ""), init=False)
    """Project and uid of the last model that was looked at."""

    def __call__(self) -> int:
        """How many were deleted.

        Raises: DATABASE_UNAVAILABLE.
        """
        end = time.monotonic() + self.budget_s
        deleted = 0
        for project, model_uid in self._crowded():
            for version in self._beyond(project, model_uid):
                deleted += self._delete(version)
                if time.monotonic() >= end:
                    return deleted  # this model is the next one again
            self._place = (project.name.project, model_uid)
        self._place = ("", "")
        return deleted

    def _crowded(self) -> Iterator[tuple[Project, str]]:
        place, after = self._place
        for project in self._projects(place):
            keep = project.retention.keep_versions
            last = after if project.name.project == place else ""
            while keep and (
                uids := self.store.read(
                    lambda reader, of=project, last=last: reader.garbage.crowded(  # type: ignore[misc]
                        of.name.project, of.retention.keep_versions, after=last, limit=PAGE
                    )
                )
            ):
                for uid in uids:
                    yield project, uid
                last = uids[-1]

    def _projects(self, first: str) -> Iterator[Project]:
        after = ""
        while page := self.store.read(lambda reader, after=after: reader.projects.list(after=after, limit=PAGE)):  # type: ignore[misc]
            yield from (project for project in page if project.name.project >= first)
            after = page[-1].name.project

    def _beyond(self, project: Project, model_uid: str) -> Iterator[Version]:
        """Those that nothing holds, without the newest that are kept."""
        kept, after = 0, 0
        while page := self.store.read(lambda reader, after=after: self._free(reader, project, model_uid, after)):  # type: ignore[misc]
            for version, is_free in page:
                if is_free and kept >= project.retention.keep_versions:
                    yield version
                kept += is_free
            after = page[-1][0].name.number

    def _free(self, reader: Reader, project: Project, model_uid: str, after: int) -> Sequence[tuple[Version, bool]]:
        versions = reader.versions.list(model_uid, after=after, limit=PAGE, states=FINALIZED)
        return [
            (version, not any(each.of_version(reader, project, version) for each in self.holders))
            for version in versions
        ]

    def _delete(self, version: Version) -> int:
        call: Call[Version] = Call(principal=SYSTEM, method="system.KeepNewest")
        try:
            # The etag, and the holders looked at again under the lock, keep what was touched meanwhile.
            self.delete(call, version.name, version.etag)
        except RegistryError:
            return 0
        return 1


@dataclass(frozen=True, slots=True)
class ForgetTokens:
    """Removes tokens that expired long ago. What they did stays in the audit trail."""

    store: Store

    def __call__(self) -> int:
        """How many went.

        Raises: DATABASE_UNAVAILABLE.
        """
        return self.store.write(lambda unit: unit.tokens.forget(unit.now - TOKEN_REST, TOKENS_AT_ONCE)).get()
