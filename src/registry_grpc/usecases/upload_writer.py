"""Opening uploads for writing: one writer at a time, the newest; nobody takes over from one who completes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.failpoints import failpoint
from registry_grpc.usecases.upload_session import Session
from registry_grpc.usecases.uploads import CLOSED_STATES, held_by, object_metadata, upload_closed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.artifacts import Upload, UploadPart
    from registry_grpc.domain.names import UploadName
    from registry_grpc.ports.artifacts import ArtifactStore, RunningDigest
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.uploaders import Uploader


@dataclass(frozen=True, slots=True)
class UploadWriter:
    """Opens sessions."""

    store: Store
    artifacts: ArtifactStore
    ids: Ids
    new_digest: Callable[[], RunningDigest]
    max_files: int
    draft_retention: timedelta
    upload_retention: timedelta

    def open(self, name: UploadName, uploader: Uploader) -> Upload | Session:
        """Take the upload over: a session to write to, or the upload itself when it takes no bytes.

        That is when it is COMMITTED, or FINALIZING while whoever completes it is taken to be alive.

        Raises: UPLOAD_NOT_FOUND, also for one of somebody else; PERMISSION_MISSING, UPLOAD_CLOSED, STORAGE_UNAVAILABLE.
        """

        def work(unit: Unit) -> tuple[Upload, Sequence[UploadPart]]:
            unit.projects.require(name.project)
            before = uploader.own(unit.uploads.lock(name), name)
            if before.state is UploadState.COMMITTED or is_sealed(before, unit.now):
                return before, ()
            if before.state in CLOSED_STATES:
                raise upload_closed(before)
            after = replace(
                before,
                # One that was being completed takes bytes again: its writer is gone.
                state=UploadState.ACTIVE,
                sealed_until=None,
                epoch=before.epoch + 1,
                writers=_writers(before, uploader.name),
                expire_time=unit.now + self.upload_retention,
            )
            unit.uploads.update(after)
            return after, unit.uploads.parts(name)

        upload, parts = self.store.write(work).get()
        if upload.state is not UploadState.ACTIVE:
            return upload
        if not upload.store_upload and upload.size_bytes > upload.part_bytes:
            upload = self._begin(upload)
        return Session(self, upload, parts)

    def _begin(self, upload: Upload) -> Upload:
        failpoint("upload.u1.before")
        store_upload = self.artifacts.begin(upload.key, object_metadata(upload))
        failpoint("upload.u1.after")

        def work(unit: Unit) -> Upload:
            after = replace(held_by(unit, upload), store_upload=store_upload)
            unit.uploads.update(after)
            return after

        failpoint("upload.u2.before")
        try:
            begun = self.store.write(work).get()
        except RegistryError as error:
            if error.reason in {Reason.UPLOAD_SUPERSEDED, Reason.UPLOAD_CLOSED}:
                # The row will never name it. Not after other errors: the commit may have happened.
                self.artifacts.abort(upload.key, store_upload)
            raise
        failpoint("upload.u2.after")
        return begun


def _writers(upload: Upload, name: str) -> tuple[str, ...]:
    known = name == upload.creator or name in upload.writers
    return upload.writers if known else (*upload.writers, name)


def is_sealed(upload: Upload, now: datetime) -> bool:
    """Whether somebody completes the upload and said so not long ago."""
    until = upload.sealed_until
    return upload.state is UploadState.FINALIZING and until is not None and until > now
