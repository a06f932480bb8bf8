"""Uploads: start, look, cancel. Writing the bytes is in `upload_writer.py` and `upload_session.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import DEFAULT_MEDIA_TYPE, Upload, UploadState, check_path, part_bytes_for
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.domain.names import UploadName
from registry_grpc.domain.tenancy import Usage
from registry_grpc.failpoints import failpoint
from registry_grpc.usecases.attach import (
    locked_draft,
    put_files,
    require_file_etag,
    require_room,
)
from registry_grpc.usecases.quotas import charge, claimed, draft_retention, release_upload

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import VersionName
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit
    from registry_grpc.usecases.uploaders import Uploader

OPEN_STATES = (UploadState.ACTIVE, UploadState.FINALIZING)
CLOSED_STATES = frozenset({UploadState.FAILED, UploadState.CANCELLED, UploadState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """What a caller declares when it starts an upload."""

    version: VersionName
    path: str
    size_bytes: int
    sha256: str = ""
    media_type: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class StartUpload:
    """Opens an upload into a draft; commits at once when the project already holds the bytes."""

    store: Store
    ids: Ids
    max_files: int
    draft_retention: timedelta
    """Where the project says nothing."""
    upload_retention: timedelta
    max_open: int
    """Most open uploads of one principal. Those that start at one moment may pass it by their number."""

    def __call__(self, call: Call[Upload], wanted: UploadRequest) -> Committed[Upload]:
        """Raises: INVALID_FIELD, VERSION_NOT_FOUND, VERSION_IMMUTABLE, ETAG_MISMATCH, QUOTA_EXCEEDED."""
        check_path(wanted.path)
        name = UploadName(wanted.version.project, self.ids.uuid())
        key = self.ids.object_key()

        def work(unit: Unit) -> Upload:
            version = locked_draft(unit, wanted.version, call.grant)
            require_room(unit, version, [wanted.path], self.max_files, "path")
            require_file_etag(unit, version, wanted.path, wanted.etag)
            upload = Upload(
                name=name,
                version=version.name,
                version_uid=version.uid,
                path=wanted.path,
                size_bytes=wanted.size_bytes,
                sha256=wanted.sha256,
                media_type=wanted.media_type or DEFAULT_MEDIA_TYPE,
                state=UploadState.ACTIVE,
                epoch=0,
                key=key,
                store_upload="",
                part_bytes=part_bytes_for(wanted.size_bytes),
                persisted_size=0,
                creator=call.principal.name,
                create_time=unit.now,
                expire_time=unit.now + self.upload_retention,
                artifact_etag=wanted.etag,
            )
            digest = Digest(wanted.sha256, wanted.size_bytes)
            project = wanted.version.project
            blob, revived = claimed(unit, project, digest) if wanted.sha256 else (None, 0)
            # Reserved before a byte is sent, so that no race takes more than there is.
            used = Usage(reserved_bytes=wanted.size_bytes, open_uploads=1) if blob is None else Usage(revived)
            if blob is None:
                self._require_few(unit, upload)
            if used:
                charge(unit, project, used)
            if blob is not None:
                rest = draft_retention(unit, project, self.draft_retention)
                revision = unit.advance(str(version.name))
                files = [(upload.path, blob, upload.media_type)]
                (artifact,) = put_files(unit, version, files, revision, rest, (upload.creator,))
                upload = replace(upload, state=UploadState.COMMITTED, deduplicated=True, artifact=artifact)
            unit.uploads.insert(upload)
            return upload

        failpoint("upload.u0.before")
        started = self.store.write(work, call)
        failpoint("upload.u0.after")
        return started

    def _require_few(self, reader: Reader, upload: Upload) -> None:
        if reader.uploads.open_by(upload.creator, self.max_open) < self.max_open:
            return
        raise RegistryError(
            Reason.QUOTA_EXCEEDED,
            f"{upload.creator} has {self.max_open} open uploads, the most there may be; finish or cancel some "
            "(ListUploads shows those of a version), or wait until they expire",
            violations=(Violation(upload.creator, f"at most {self.max_open} open uploads"),),
            limit=self.max_open,
        )


def require_upload(upload: Upload | None, name: UploadName) -> Upload:
    """Raises: UPLOAD_NOT_FOUND."""
    if upload is None:
        raise RegistryError(Reason.UPLOAD_NOT_FOUND, f"{name} does not exist", resource=name)
    return upload


@dataclass(frozen=True, slots=True)
class GetUpload:
    """One upload, with the offset to resume at."""

    store: Store

    def __call__(self, name: UploadName, uploader: Uploader) -> Upload:
        """Raises: UPLOAD_NOT_FOUND, also for one of somebody else; PERMISSION_MISSING."""
        return uploader.own(self.store.read(lambda reader: reader.uploads.get(name)), name)


@dataclass(frozen=True, slots=True)
class ListUploads:
    """Uploads of a version, oldest first."""

    store: Store

    def __call__(
        self,
        name: VersionName,
        *,
        states: Collection[UploadState],
        after: tuple[datetime, str] | None,
        limit: int,
        creator: str = "",
    ) -> Sequence[Upload]:
        """A keyset page by (create_time, uuid); of one creator, or of all of them when it is empty.

        Raises: VERSION_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Upload]:
            version = reader.versions.get(name)
            return reader.uploads.list(version.uid, states=states, after=after, limit=limit, creator=creator)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class CancelUpload:
    """Cancels an upload and drops what it stored."""

    store: Store
    artifacts: ArtifactStore

    def __call__(self, name: UploadName, uploader: Uploader) -> Upload:
        """The cancelled upload; one that had ended before is returned as it is, unless it was committed.

        One that is being completed can be cancelled too, or a server that died in the middle would keep its version
        from ever being finalized; the writer is refused at its commit.

        Raises: UPLOAD_NOT_FOUND, also for one of somebody else; PERMISSION_MISSING; UPLOAD_CLOSED for one that is
            committed; STORAGE_UNAVAILABLE.
        """

        def work(unit: Unit) -> Upload:
            unit.projects.require(name.project)
            before = uploader.own(unit.uploads.lock(name), name)
            if before.state in CLOSED_STATES:
                return before
            if before.state not in OPEN_STATES:
                raise upload_closed(before)
            after = replace(before, state=UploadState.CANCELLED, epoch=before.epoch + 1)
            unit.uploads.update(after)
            unit.uploads.delete_parts(name)
            release_upload(unit, before)
            return after

        after = self.store.write(work).get()
        # Also for one that had ended: dropping may have been what failed the first time.
        drop_stored(self.artifacts, after)
        return after


def drop_stored(artifacts: ArtifactStore, upload: Upload) -> None:
    """Drop what the store keeps of an upload that ended without a file: parts, or the object a writer completed.

    What a server had begun and not yet saved when it was killed is found by the key.
    """
    artifacts.sweep(upload.key)
    artifacts.delete(upload.key)


def upload_closed(upload: Upload) -> RegistryError:
    """The error for an upload that takes no more bytes."""
    why = f": {upload.failure}" if upload.failure else ""
    return RegistryError(
        Reason.UPLOAD_CLOSED,
        f"{upload.name} is {upload.state.upper()}{why}; start a new upload",
        state=upload.state.upper(),
    )


def object_metadata(upload: Upload) -> dict[str, str]:
    """What an object says of itself, so that a lost blob table can be rebuilt from the bucket."""
    return {"upload": upload.name.upload, "project": upload.name.project}


def held_by(unit: Unit, mine: Upload) -> Upload:
    """The row of `mine`, locked, when this writer still holds it.

    Raises: UPLOAD_SUPERSEDED, UPLOAD_CLOSED, PROJECT_NOT_FOUND when the project was deleted.
    """
    unit.projects.require(mine.name.project)
    row = require_upload(unit.uploads.lock(mine.name), mine.name)
    if row.state in CLOSED_STATES:
        raise upload_closed(row)
    if row.epoch != mine.epoch:
        raise RegistryError(
            Reason.UPLOAD_SUPERSEDED,
            f"a newer WriteUpload call took {mine.name} over; only one may write",
            persistedSize=row.persisted_size,
        )
    return row
