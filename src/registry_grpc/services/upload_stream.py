"""The inward stream: chunks become parts, at most three of them on their way to the store at once.

The end of the stream says nothing (it also comes after a cut, a cancel or a deadline); only `finish_write` completes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.artifacts import MIB
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.services.codec.artifacts import MAX_CHUNK_BYTES
from registry_grpc.services.unhurried import Unhurried

if TYPE_CHECKING:
    from registry_grpc.domain.artifacts import Bytes, Upload
    from registry_grpc.domain.calls import Call
    from registry_grpc.services.codec.artifacts import WriteMessage
    from registry_grpc.services.edge import Pool
    from registry_grpc.services.transfer_room import TransferRoom
    from registry_grpc.usecases.upload_session import Session
    from registry_grpc.v1 import artifacts_pb2

PARTS_IN_FLIGHT = 3
"""While the store writes one of them down the others come and are hashed. With four an upload would take 68 MiB."""
GATHERED = 1 / 4
"""Of a part is held at most while the others are on their way: the rest of it waits in the client."""
SMALL_CHUNK_BYTES = 64 * 1024
"""Chunks below this are put together as they come: a part of one-byte chunks would take a hundred times its size."""
MAX_EMPTY_CHUNKS = 10_000
"""In one stream. Enough for a sign of life every five seconds, for as long as a stream may last."""


class WaitObserver(Protocol):
    """Told what an upload waited for."""

    def upload_waited(self, on: str, seconds: float) -> None:
        """`on` is client, storage or db."""


class UploadStream:
    """One WriteUpload call. Its methods run on the loop; nothing in them blocks."""

    def __init__(
        self, session: Session, transfer: Pool, control: Pool, waits: WaitObserver, room: TransferRoom
    ) -> None:
        """Begins at the persisted size of the session. `room` is what all streams have for parts that are stored."""
        self._session = session
        self._transfer = transfer
        self._control = control
        self._waits = waits
        self._next_offset: int | None = None
        self._received = session.persisted_size
        self._chunks: list[Bytes] = []
        self._checksums: list[int | None] = []
        self._small = bytearray()
        self._empty = 0
        self._held = 0
        self._number = session.next_part
        self._room = room
        self._slots = asyncio.Semaphore(PARTS_IN_FLIGHT)
        self._has_slot = False
        """Whether the part that is gathered may be sent once it is full."""
        self._recorded: asyncio.Task[None] | None = None
        """The newest part's way into the store and then into the table; it waits for the one before."""
        self._failure: Exception | None = None
        """Of the first part that failed: nothing behind it can be recorded."""

    @property
    def _upload(self) -> Upload:
        return self._session.upload

    @property
    def persisted_size(self) -> int:
        """Where a new stream may go on, bytes."""
        return self._session.persisted_size

    async def take(self, message: WriteMessage) -> int:
        """Take one message; returns how many bytes came in it.

        Raises: OFFSET_AHEAD, SIZE_MISMATCH, INVALID_FIELD, CHUNK_CHECKSUM, RATE_LIMITED for too many empty chunks,
            and whatever storing an earlier part came to.
        """
        self._require_sound()
        request, content = message.request, message.content
        came = len(content)
        if not content and not request.finish_write:
            self._count_empty()
        if len(content) > MAX_CHUNK_BYTES:
            raise invalid_field("chunk.content", f"has {len(content)} bytes; the limit is {MAX_CHUNK_BYTES}")
        checksum = request.chunk.crc32c if request.chunk.HasField("crc32c") else None
        skip = self._skip(request.write_offset, len(content))
        if skip:
            # What is persisted already was verified when it came; the rest of this chunk loses its checksum.
            content, checksum = content[skip:], None
        if self._received + len(content) > self._upload.size_bytes:
            raise RegistryError(
                Reason.SIZE_MISMATCH,
                f"{self._upload.path!r} was declared with {self._upload.size_bytes} bytes, more came; "
                "start a new upload with the right size",
                expected=self._upload.size_bytes,
                actual=self._received + len(content),
            )
        await self._add(content, checksum)
        return came

    def _require_sound(self) -> None:
        """Raises: what storing an earlier part came to."""
        if self._failure is not None:
            raise self._failure

    def _count_empty(self) -> None:
        self._empty += 1
        if self._empty > MAX_EMPTY_CHUNKS:
            raise RegistryError(
                Reason.RATE_LIMITED,
                f"more than {MAX_EMPTY_CHUNKS} empty chunks in one stream; one every 30 s shows that you are there",
                limit=MAX_EMPTY_CHUNKS,
            )

    def _skip(self, offset: int, length: int) -> int:
        """How many bytes of a chunk at `offset` are held already."""
        if self._next_offset is None:
            self._next_offset = min(offset, self._received)
        if offset > self._next_offset:
            raise RegistryError(
                Reason.OFFSET_AHEAD,
                f"write_offset {offset} is beyond {self._next_offset}; resume at persisted_size",
                persistedSize=self._session.persisted_size,
            )
        if offset < self._next_offset:
            raise invalid_field("write_offset", f"is {offset}; the chunk before ended at {self._next_offset}")
        self._next_offset += length
        return min(length, max(0, self._received - offset))

    async def _add(self, content: Bytes, checksum: int | None) -> None:
        room = self._upload.part_bytes - self._held
        if len(content) > room:
            # A chunk across a part boundary: its checksum is of the whole, so it is checked with the first half.
            head, tail = content[:room], content[room:]
            await self._check(content, checksum)
            await self._add(head, None)
            await self._add(tail, None)
            return
        self._keep(content, checksum)
        if not self._held or not self._upload.store_upload:
            return
        full = self._held == self._upload.part_bytes or self._received == self._upload.size_bytes
        if full or self._held >= GATHERED * self._upload.part_bytes:
            await self._take_slot()
        if full:
            # Not before the part is whole, or slow clients would keep the room of all streams.
            await self._wait_for(self._room)
            self._send_part()

    def _keep(self, content: Bytes, checksum: int | None) -> None:
        """Hold a chunk until its part is sent."""
        if len(content) < SMALL_CHUNK_BYTES:
            # Microseconds: not worth a thread.
            self._session.check(self._received, [content], [checksum])
            self._small += content
            if len(self._small) >= MIB:
                self._join_small()
        else:
            self._join_small()
            self._chunks.append(content)
            self._checksums.append(checksum)
        self._held += len(content)
        self._received += len(content)

    def _join_small(self) -> None:
        if self._small:
            self._chunks.append(bytes(self._small))
            self._checksums.append(None)
            self._small.clear()

    async def _check(self, content: Bytes, checksum: int | None) -> None:
        if checksum is not None:
            await self._transfer.run(self._session.check, self._received, [content], [checksum])

    async def _take_slot(self) -> None:
        """Wait until fewer than three parts are on their way.

        Raises: what storing an earlier part came to.
        """
        if not self._has_slot:
            await self._wait_for(self._slots)
            self._has_slot = True
        self._require_sound()

    async def _wait_for(self, places: asyncio.Semaphore | TransferRoom) -> None:
        began = time.monotonic()
        await places.acquire()
        self._waits.upload_waited("storage", time.monotonic() - began)

    def _send_part(self) -> None:
        self._has_slot = False
        self._join_small()
        number, offset = self._number, self._received - self._held
        chunks, checksums, size = self._chunks, self._checksums, self._held
        self._chunks, self._checksums, self._held = [], [], 0
        self._number += 1
        self._recorded = asyncio.create_task(
            self._store_and_record(self._recorded, number, offset, chunks, checksums, size),
        )
        # A failure surfaces at the next message; without one nobody may be left to look.
        self._recorded.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _store_and_record(
        self,
        before: asyncio.Task[None] | None,
        number: int,
        offset: int,
        chunks: list[Bytes],
        checksums: list[int | None],
        size: int,
    ) -> None:
        try:
            try:
                calmly = Unhurried(chunks, self._room)
                part = await self._transfer.run(self._session.store_part, number, offset, calmly, checksums, size)
            except BaseException:
                self._session.give_up()
                if before is not None:
                    # The first failure is the one to tell: it broke those behind it.
                    await before
                raise
            finally:
                chunks.clear()
                self._room.release()
            if before is not None:
                await before
            began = time.monotonic()
            await self._control.run(self._session.record_part, part)
            self._waits.upload_waited("db", time.monotonic() - began)
        except Exception as error:
            self._failure = self._failure or error
            raise
        finally:
            self._slots.release()

    async def settle(self) -> None:
        """Wait until every part sent is recorded.

        Raises: whatever storing one came to; the first of them.
        """
        if self._recorded is not None:
            await self._recorded

    async def finish(self, message: artifacts_pb2.WriteUploadRequest, call: Call[Upload]) -> Upload:
        """Complete the upload after its last message.

        Raises: SIZE_MISMATCH, DIGEST_MISMATCH, and what `Session.finish` raises.
        """
        digest = self._declared(message)
        await self.settle()
        if self._received != self._upload.size_bytes:
            raise RegistryError(
                Reason.SIZE_MISMATCH,
                f"finish_write after {self._received} of {self._upload.size_bytes} bytes; send the rest first",
                expected=self._upload.size_bytes,
                actual=self._received,
            )
        self._join_small()
        return await self._transfer.run(self._session.finish, call, digest, self._chunks, self._checksums)

    def _declared(self, message: artifacts_pb2.WriteUploadRequest) -> Digest:
        declared, size = self._upload.sha256, self._upload.size_bytes
        if not message.HasField("digest"):
            if not declared:
                raise invalid_field("digest", "is required with finish_write when StartUpload had no sha256")
            return Digest(declared, size)
        if declared and declared != message.digest.sha256:
            raise RegistryError(
                Reason.DIGEST_MISMATCH,
                f"StartUpload declared sha256 {declared}, finish_write says {message.digest.sha256}",
                expected=declared,
                actual=message.digest.sha256,
            )
        if message.digest.size_bytes != size:
            raise RegistryError(
                Reason.SIZE_MISMATCH,
                f"StartUpload declared {size} bytes, finish_write says {message.digest.size_bytes}",
                expected=size,
                actual=message.digest.size_bytes,
            )
        return Digest(message.digest.sha256, size)
