"""From `finish_write` to the file in the version: bytes first, row last.

The steps U4 to U8 of `docs/architecture.md`. All methods block and run in the transfer pool.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import MIB, Blob, BlobState, UploadState
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.tenancy import Usage
from registry_grpc.failpoints import failpoint
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.usecases.attach import locked_draft, put_files, require_file_etag, require_room
from registry_grpc.usecases.quotas import claimed, draft_retention, release_upload
from registry_grpc.usecases.uploads import OPEN_STATES, drop_stored, held_by, object_metadata, upload_closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_grpc.domain.artifacts import Bytes, Upload, UploadPart
    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.digests import Digest
    from registry_grpc.ports.store import Unit
    from registry_grpc.usecases.upload_writer import UploadWriter

SEAL = timedelta(seconds=5)
"""How long a completion is taken to be alive without a word of it."""
RESEAL_BYTES = 32 * MIB
LOST = "the store no longer has its parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a writer sent of a file."""

    streamed_sha256: str
    """Of all its bytes; empty when another writer sent some of them."""
    block_digests: bytes
    parts: Sequence[UploadPart]
    tail: Sequence[Bytes] | None
    """The whole of a file of one part, which is not in the store yet."""
    is_by_one_writer: bool
    """Else what is stored decides: an earlier one may have stored other bytes."""


class Completion:
    """Completes one upload; `upload` is how it stands."""

    def __init__(self, writer: UploadWriter, upload: Upload) -> None:
        """Of an upload that the caller holds."""
        self._writer = writer
        self.upload = upload

    def run(self, call: Call[Upload], digest: Digest, sent: Sent) -> Upload:
        """Seal, verify, complete, and commit; the seal is broken when it fails.

        Raises: DIGEST_MISMATCH, VERSION_IMMUTABLE, ETAG_MISMATCH, UPLOAD_SUPERSEDED, STORAGE_UNAVAILABLE, …
        """
        failpoint("upload.u4.before")
        self._seal(SEAL)
        failpoint("upload.u4.after")
        try:
            failpoint("upload.u5.before")
            if sent.streamed_sha256:
                self._require(digest, sent.streamed_sha256)
            failpoint("upload.u5.after")
            self._complete(sent)
            if not sent.is_by_one_writer:
                self._require_stored(digest)
            return self._commit(call, digest, sent.block_digests)
        except BaseException:
            if self.upload.state is UploadState.FINALIZING:
                # Nobody need wait for us. When this fails too, the seal ends by itself.
                with contextlib.suppress(RegistryError):
                    self._seal(timedelta(0))
            raise

    def _seal(self, how_long: timedelta) -> None:
        """Say that the upload is being completed, so that no other writer takes it over meanwhile."""

        def work(unit: Unit) -> Upload:
            row = held_by(unit, self.upload)
            after = replace(row, state=UploadState.FINALIZING, sealed_until=unit.now + how_long)
            unit.uploads.update(after)
            return after

        self.upload = self._writer.store.write(work).get()

    def _require_stored(self, digest: Digest) -> None:
        failpoint("upload.u7.before")
        self._require(digest, self._read_back())
        # What an earlier writer may have left beside the object.
        with contextlib.suppress(RegistryError):
            self._writer.artifacts.sweep(self.upload.key)
        failpoint("upload.u7.after")

    def _require(self, digest: Digest, actual: str) -> None:
        if actual == digest.sha256:
            return
        self._fail(f"the bytes hash to {actual}, not to {digest.sha256}")
        raise RegistryError(
            Reason.DIGEST_MISMATCH,
            f"the bytes of {self.upload.path!r} hash to {actual}, not to the declared {digest.sha256}; "
            "read the file again and start a new upload",
            expected=digest.sha256,
            actual=actual,
        )

    def _complete(self, sent: Sent) -> None:
        upload, artifacts = self.upload, self._writer.artifacts
        failpoint("upload.u6.before")
        try:
            if sent.tail is None:
                artifacts.complete(upload.key, upload.store_upload, sent.parts)
            else:
                artifacts.put(upload.key, sent.tail, upload.size_bytes, object_metadata(upload))
        except MissingObjectError as error:
            raise self._lost() from error
        failpoint("upload.u6.after")

    def _read_back(self) -> str:
        digest = self._writer.new_digest()
        try:
            digest.update(self._sealing(self._writer.artifacts.read(self.upload.key, 0, self.upload.size_bytes)))
        except MissingObjectError as error:
            raise self._lost() from error
        return digest.hexdigest()

    def _sealing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks; the seal is renewed while they come, so that it outlasts the reading of any size."""
        since = 0
        for chunk in chunks:
            yield chunk
            since += len(chunk)
            if since >= RESEAL_BYTES:
                self._seal(SEAL)
                since = 0

    def _commit(self, call: Call[Upload], digest: Digest, block_digests: bytes) -> Upload:
        blob_uid = self._writer.ids.uuid()

        def work(unit: Unit) -> Upload:
            version = locked_draft(unit, self.upload.version, call.grant)
            row = held_by(unit, self.upload)
            if row.state is UploadState.COMMITTED:
                return row  # by this very function, when the answer to its COMMIT was lost
            require_room(unit, version, [row.path], self._writer.max_files, "path")
            require_file_etag(unit, version, row.path, row.artifact_etag)
            project = row.name.project
            blob, stored = claimed(unit, project, digest)
            rest = draft_retention(unit, project, self._writer.draft_retention)
            mine = Blob(
                uid=blob_uid,
                project=project,
                digest=digest,
                key=row.key,
                block_digests=block_digests,
                state=BlobState.LIVE if blob is None else BlobState.DELETING,
                create_time=unit.now,
                condemned_at=None if blob is None else unit.now,
            )
            if blob is None:  # files of damaged bytes get these, and those count no longer
                stored = digest.size_bytes * (1 - unit.blobs.count_damaged(project, digest))
            # What was reserved becomes what is stored: never more, so it needs no room of its own.
            unit.usage.change(project, Usage(stored, reserved_bytes=-row.size_bytes, open_uploads=-1))
            revision = unit.advance(str(version.name))
            # When another upload of the same bytes was faster, ours is kept as a row so that it gets deleted.
            unit.blobs.insert(mine)
            if blob is None:
                unit.blobs.heal(mine)
            files = [(row.path, blob or mine, row.media_type)]
            (artifact,) = put_files(unit, version, files, revision, rest, (row.creator, *row.writers))
            after = replace(
                row,
                state=UploadState.COMMITTED,
                persisted_size=row.size_bytes,
                deduplicated=blob is not None,
                artifact=artifact,
            )
            unit.uploads.update(after)
            unit.uploads.delete_parts(row.name)
            return after

        failpoint("upload.u8.before")
        try:
            self.upload = self._writer.store.write(work, call).get()
        except RegistryError as error:
            if error.reason in {Reason.VERSION_IMMUTABLE, Reason.ETAG_MISMATCH, Reason.INVALID_FIELD}:
                self._fail(error.message)
            if error.reason is Reason.UPLOAD_CLOSED:
                # Cancelled while it was completed: nothing will ever point to the object.
                drop_stored(self._writer.artifacts, self.upload)
            raise
        failpoint("upload.u8.after")
        return self.upload

    def _fail(self, why: str) -> None:
        self.upload = failed(self._writer, self.upload, why)

    def _lost(self) -> RegistryError:
        self._fail(LOST)
        return upload_closed(self.upload)


def failed(writer: UploadWriter, upload: Upload, why: str) -> Upload:
    """End an upload for good: what was declared can no longer come true.

    Raises: UPLOAD_SUPERSEDED, UPLOAD_CLOSED.
    """

    def work(unit: Unit) -> Upload:
        row = held_by(unit, upload)
        after = replace(row, state=UploadState.FAILED, failure=why)
        unit.uploads.update(after)
        unit.uploads.delete_parts(after.name)
        if row.state in OPEN_STATES:
            release_upload(unit, row)
        return after

    ended = writer.store.write(work).get()
    drop_stored(writer.artifacts, ended)
    return ended
