"""What the leader does from time to time: ends what rested for too long. Safe to run twice at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import RegistryError
from registry_grpc.usecases.uploads import OPEN_STATES, drop_stored

if TYPE_CHECKING:
    from registry_grpc.domain.artifacts import Upload
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.deletion import DeleteVersion

BATCH = 100


@dataclass(frozen=True, slots=True)
class ExpireUploads:
    """Ends uploads past their time and drops what they stored."""

    store: Store
    artifacts: ArtifactStore

    def __call__(self) -> int:
        """How many were ended."""
        ended = 0
        for upload in self.store.read(lambda reader: reader.uploads.expired(BATCH)):
            ended += self._expire(upload)
        return ended

    def _expire(self, seen: Upload) -> int:
        def work(unit: Unit) -> Upload | None:
            upload = unit.uploads.lock(seen.name)
            if upload is None or upload.state not in OPEN_STATES or upload.expire_time > unit.now:
                return None
            after = replace(upload, state=UploadState.EXPIRED, epoch=upload.epoch + 1)
            unit.uploads.update(after)
            unit.uploads.delete_parts(upload.name)
            return after

        upload = self.store.write(work).get()
        if upload is None:
            return 0
        drop_stored(self.artifacts, upload)
        return 1


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
