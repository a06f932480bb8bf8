"""What the leader does from time to time: ends what rested for too long. Safe to run twice at once."""

from __future__ import annotations

import contextlib
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
        ended = sum(self._expire(upload) for upload in self.store.read(lambda reader: reader.uploads.expired(BATCH)))
        # A store that is down must not keep the jobs behind this one from their turn: it is tried again next time.
        with contextlib.suppress(RegistryError):
            self._drop_ended()
        return ended

    def _drop_ended(self) -> None:
        # Also what was cancelled or failed long ago: dropping may have failed then, or a writer was still at work.
        for upload in self.store.read(lambda reader: reader.uploads.ended(BATCH)):
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
            return True

        return self.store.write(work).get()

    def _note_dropped(self, seen: Upload) -> None:
        def work(unit: Unit) -> None:
            upload = unit.uploads.lock(seen.name)
            if upload is not None:
                unit.uploads.update(replace(upload, dropped=True))

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
