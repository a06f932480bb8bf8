"""Writing the bytes of one upload: bytes first, row last.

The steps U1 to U8 of `docs/architecture.md`. Every step may be repeated after a crash; a writer of an older epoch is
refused at its next step. All methods block and run in the transfer pool; `store_part` may run several times at
once for one session, the hashing inside it keeps the order of the parts.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import MIB, Blob, BlobState, UploadPart, UploadState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.tenancy import Usage
from registry_grpc.failpoints import failpoint
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.usecases.attach import locked_draft, put_files, require_file_etag, require_room
from registry_grpc.usecases.part_hash import BrokenHashError, PartHash, verified
from registry_grpc.usecases.quotas import claimed, draft_retention, release_upload
from registry_grpc.usecases.uploads import OPEN_STATES, drop_stored, held_by, object_metadata, upload_closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_grpc.domain.artifacts import Bytes, Upload
    from registry_grpc.domain.calls import Call
    from registry_grpc.ports.store import Unit
    from registry_grpc.usecases.upload_writer import UploadWriter

SEAL = timedelta(seconds=5)
"""How long a completion is taken to be alive without a word of it."""
RESEAL_BYTES = 32 * MIB


class Session:
    """One writer of one upload. Parts are stored in any order and recorded in order."""

    def __init__(self, writer: UploadWriter, upload: Upload, parts: Sequence[UploadPart]) -> None:
        """Made by `UploadWriter.open`."""
        self._writer = writer
        self.upload = upload
        self._parts = list(parts)
        # An earlier writer may have stored other bytes, and may still be storing some: what is under the key decides.
        self._is_first = upload.epoch == 1
        self._hash = PartHash(writer.new_digest(), len(parts) + 1)

    @property
    def persisted_size(self) -> int:
        """Bytes that are safe."""
        return self.upload.persisted_size

    @property
    def next_part(self) -> int:
        """Number of the part after those recorded."""
        return len(self._parts) + 1

    def store_part(
        self, number: int, offset: int, chunks: Sequence[Bytes], checksums: Sequence[int | None], size_bytes: int
    ) -> UploadPart:
        """Verify, hash and store one part; not yet recorded.

        Raises: CHUNK_CHECKSUM, STORAGE_UNAVAILABLE, QUOTA_EXCEEDED, UPLOAD_CLOSED.
        """
        blocks = self._hash_part(number, offset, chunks, checksums)
        failpoint("upload.u3.before")
        try:
            etag = self._writer.artifacts.put_part(
                self.upload.key,
                self.upload.store_upload,
                number,
                offset,
                chunks,
                size_bytes,
            )
        except MissingObjectError as error:
            raise self._lost() from error
        return UploadPart(number=number, size_bytes=size_bytes, etag=etag, block_digests=blocks)

    def check(self, offset: int, chunks: Sequence[Bytes], checksums: Sequence[int | None]) -> None:
        """Raises: CHUNK_CHECKSUM."""
        for _ in verified(offset, chunks, checksums, self.persisted_size):
            pass

    def _hash_part(self, number: int, offset: int, chunks: Sequence[Bytes], checksums: Sequence[int | None]) -> bytes:
        try:
            return self._hash.take(number, verified(offset, chunks, checksums, self.persisted_size))
        except BrokenHashError as error:
            raise RegistryError(
                Reason.UPLOAD_SUPERSEDED,
                f"an earlier part of this call was not stored; resume {self.upload.name} with a new WriteUpload call",
                persistedSize=self.persisted_size,
            ) from error

    def record_part(self, part: UploadPart) -> int:
        """Record a stored part, the one after those recorded; returns the persisted size.

        Raises: UPLOAD_SUPERSEDED, UPLOAD_CLOSED, DATABASE_UNAVAILABLE.
        """

        def work(unit: Unit) -> Upload:
            row = held_by(unit, self.upload)
            unit.uploads.put_part(row.name, part)
            after = replace(
                row,
                persisted_size=row.persisted_size + part.size_bytes,
                expire_time=unit.now + self._writer.upload_retention,
            )
            unit.uploads.update(after)
            return after

        failpoint("upload.u3.stored")
        self.upload = self._writer.store.write(work).get()
        failpoint("upload.u3.after")
        self._parts.append(part)
        return self.upload.persisted_size

    def finish(
        self,
        call: Call[Upload],
        digest: Digest,
        tail: Sequence[Bytes] = (),
        checksums: Sequence[int | None] = (),
    ) -> Upload:
        """Verify, complete, and put the file into the version. `tail` is the whole of a file of one part.

        Raises: DIGEST_MISMATCH, VERSION_IMMUTABLE, ETAG_MISMATCH, UPLOAD_SUPERSEDED, STORAGE_UNAVAILABLE, …
        """
        whole = not self.upload.store_upload
        tail_blocks = self._hash_part(1, 0, tail, checksums) if whole and self.upload.size_bytes else b""
        failpoint("upload.u4.before")
        self._seal(SEAL)
        failpoint("upload.u4.after")
        try:
            self._require_streamed(digest, whole=whole)
            self._complete(tail if whole else None)
            if not self._is_first:
                self._require_stored(digest)
            blocks = tail_blocks or b"".join(part.block_digests for part in self._parts)
            return self._commit(call, digest, blocks)
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

    def _require_streamed(self, digest: Digest, *, whole: bool) -> None:
        failpoint("upload.u5.before")
        if self._is_first or whole:
            self._require(digest, self._hash.hexdigest())
        failpoint("upload.u5.after")

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

    def _complete(self, tail: Sequence[Bytes] | None) -> None:
        upload, artifacts = self.upload, self._writer.artifacts
        failpoint("upload.u6.before")
        try:
            if tail is None:
                artifacts.complete(upload.key, upload.store_upload, self._parts)
            else:
                artifacts.put(upload.key, tail, upload.size_bytes, object_metadata(upload))
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

    def give_up(self) -> None:
        """A part will not come: whoever waits for its turn behind it must not wait for ever."""
        self._hash.fail()

    def _fail(self, why: str) -> None:
        """End the upload for good: what was declared can no longer come true."""

        def work(unit: Unit) -> Upload:
            row = held_by(unit, self.upload)
            after = replace(row, state=UploadState.FAILED, failure=why)
            unit.uploads.update(after)
            unit.uploads.delete_parts(after.name)
            if row.state in OPEN_STATES:
                release_upload(unit, row)
            return after

        self.upload = self._writer.store.write(work).get()
        drop_stored(self._writer.artifacts, self.upload)

    def _lost(self) -> RegistryError:
        self._fail("the store no longer has its parts")
        return upload_closed(self.upload)
