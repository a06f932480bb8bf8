"""What the leader does from time to time: ends what rested for too long. Safe to run twice at once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import RegistryError
from registry_grpc.usecases.quotas import release_upload
from registry_grpc.usecases.uploads import OPEN_STATES, drop_stored

if TYPE_CHECKING:
    from registry_grpc.domain.artifacts import Upload
    from registry_grpc.domain.resources import Project, Version
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.deletion import DeleteVersion
    from registry_grpc.usecases.purge import Purger
    from registry_grpc.usecases.store_mark import StoreMark

BATCH = 100


@dataclass(frozen=True, slots=True)
class ExpireUploads:
    """Ends uploads past their time and drops what they stored."""

    store: Store
    artifacts: ArtifactStore
    mark: StoreMark
    """Nothing is dropped from a store that is marked as that of another database."""

    def __call__(self) -> int:
        """How many were ended."""
        ended = sum(self._expire(upload) for upload in self.store.read(lambda reader: reader.uploads.expired(BATCH)))
        # A store that is down, or of somebody else, is no failure of this job: it is tried again next time.
        with contextlib.suppress(RegistryError):
            self._drop_ended()
        return ended

    def _drop_ended(self) -> None:
        # Also what was cancelled or failed long ago: dropping may have failed then, or a writer was still at work.
        ended = self.store.read(lambda reader: reader.uploads.ended(BATCH))
        if ended:
            self.mark.require(leave=False)
        for upload in ended:
            drop_stored(self.artifacts, upload)
            self._note_dropped(upload)

    def _expire(self, seen: Upload) -> bool:
        def work(unit: Unit) -> bool:
            upload = unit.uploads.lock(seen.name)
            if upload is None or upload.state not in OPEN_STATES or upload.expire_time > unit.now:
                return False
            after = replace(upload, state=UploadState.EXPIRED, epoch=upload.epoch + 1)
            unit.uploads.update(after)
            unit.uploads.delete_parts(upload.name)
            release_upload(unit, upload)
            return True

        return self.store.write(work).get()

    def _note_dropped(self, seen: Upload) -> None:
        def work(unit: Unit) -> None:
            upload = unit.uploads.lock(seen.name)
            if upload is not None:
                unit.uploads.update(replace(upload, dropped=True))
                unit.uploads.forget_orphan(upload.name)

        self.store.write(work)


@dataclass(frozen=True, slots=True)
class ExpireDrafts:
    """Deletes drafts that were abandoned; they can be undeleted for a while."""

    store: Store
    delete: DeleteVersion

    def __call__(self) -> int:
        """How many were deleted."""
        ended = 0
        for draft in self.store.read(lambda reader: reader.versions.expired_drafts(BATCH)):
            ended += self._expire(draft)
        return ended

    def _expire(self, draft: Version) -> int:
        call: Call[Version] = Call(principal=SYSTEM, method="system.ExpireDrafts")
        try:
            # The etag keeps a draft that was touched since it was listed.
            self.delete(call, draft.name, draft.etag)
        except RegistryError:
            return 0
        return 1


@dataclass(frozen=True, slots=True)
class PurgeDue:
    """Removes what is past its purge_time, for as long as the leader can spare. Safe to run twice at once."""

    store: Store
    purger: Purger
    budget_s: float = 5.0

    def __call__(self) -> int:
        """How many versions, models and projects it removed or tried to."""
        end = time.monotonic() + self.budget_s
        call: Call[None] = Call(principal=SYSTEM, method="system.PurgeDue")
        done = 0
        for step in (self._versions, self._models, self._projects):
            if time.monotonic() < end:
                done += step(call)
        return done

    def _versions(self, call: Call[None]) -> int:
        due = self.store.read(lambda reader: reader.versions.purgeable(BATCH))
        for version in due:
            # One that cannot go now must not keep the others from their turn.
            with contextlib.suppress(RegistryError):
                self.store.write(lambda unit, seen=version: self.purger.due_version(unit, seen), call)  # type: ignore[misc]
        return len(due)

    def _models(self, call: Call[None]) -> int:
        due = self.store.read(lambda reader: reader.models.purgeable(BATCH))
        for model in due:
            with contextlib.suppress(RegistryError):
                self.purger.whole_model(model, call)
        return len(due)

    def _projects(self, call: Call[None]) -> int:
        due = self.store.read(lambda reader: reader.projects.purgeable(BATCH))
        for project in due:
            with contextlib.suppress(RegistryError):
                self._project(project, call)
        return len(due)

    def _project(self, seen: Project, call: Call[None]) -> None:
        self.purger.models_of(seen, call)

        def work(unit: Unit) -> None:
            project = unit.projects.lock(seen.name.project)
            if project.uid == seen.uid and project.purge_time is not None and project.purge_time <= unit.now:
                self.purger.project(unit, project)

        self.store.write(work, call)
