"""Writing the bytes of one upload: bytes first, row last.

Step U3 of `docs/architecture.md`; U4 to U8 are in `upload_completion.py`. Every step may be repeated after a crash; a
writer of an older epoch is refused at its next step. All methods block and run in the transfer pool; `store_part` may
run several times at once for one session, the hashing inside it keeps the order of the parts.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import UploadPart
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.failpoints import failpoint
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.usecases.part_hash import BrokenHashError, PartHash, verified
from registry_grpc.usecases.upload_completion import LOST, Completion, Sent, failed
from registry_grpc.usecases.uploads import held_by, upload_closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.artifacts import Bytes, Upload
    from registry_grpc.domain.calls import Call
    from registry_grpc.ports.store import Unit
    from registry_grpc.usecases.upload_writer import UploadWriter

RENEW_S = 60.0
"""How often an upload that moves puts its expiry off, at most; a tenth of the retention where that is less."""


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
        self._renew_at = self._next_renewal()
        """Monotonic seconds from which on a part that is recorded puts the expiry off."""

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
        mine, is_due = self.upload, time.monotonic() >= self._renew_at
        persisted_size = mine.persisted_size + part.size_bytes

        def work(unit: Unit) -> Upload:
            expires = unit.now + self._writer.upload_retention if is_due else mine.expire_time
            after = replace(mine, persisted_size=persisted_size, expire_time=expires)
            if not unit.uploads.persist(after):
                held_by(unit, mine)  # says why not
                raise RegistryError(
                    Reason.TRANSACTION_CONFLICT,
                    f"{mine.name} changed at this very moment; resume it with a new WriteUpload call",
                    persistedSize=mine.persisted_size,
                )
            unit.uploads.put_part(mine.name, part)
            return after

        failpoint("upload.u3.stored")
        self.upload = self._writer.store.write(work).get()
        failpoint("upload.u3.after")
        if is_due:
            self._renew_at = self._next_renewal()
        self._parts.append(part)
        return self.upload.persisted_size

    def _next_renewal(self) -> float:
        return time.monotonic() + min(RENEW_S, self._writer.upload_retention.total_seconds() / 10)

    def finish(
        self,
        call: Call[Upload],
        digest: Digest,
        tail: Sequence[Bytes] = (),
        checksums: Sequence[int | None] = (),
    ) -> Upload:
        """Verify, complete, and put the file into the version. `tail` is the whole of a file of one part.

        Raises: CHUNK_CHECKSUM, and what `Completion.run` raises.
        """
        whole = not self.upload.store_upload
        tail_blocks = self._hash_part(1, 0, tail, checksums) if whole and self.upload.size_bytes else b""
        sent = Sent(
            streamed_sha256=self._hash.hexdigest() if self._is_first or whole else "",
            block_digests=tail_blocks or b"".join(part.block_digests for part in self._parts),
            parts=self._parts,
            tail=tail if whole else None,
            is_by_one_writer=self._is_first,
        )
        completion = Completion(self._writer, self.upload)
        try:
            return completion.run(call, digest, sent)
        finally:
            self.upload = completion.upload

    def give_up(self) -> None:
        """A part will not come: whoever waits for its turn behind it must not wait for ever."""
        self._hash.fail()

    def _lost(self) -> RegistryError:
        self.upload = failed(self._writer, self.upload, LOST)
        return upload_closed(self.upload)
