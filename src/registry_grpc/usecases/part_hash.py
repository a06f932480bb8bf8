"""Hashing the parts of one upload in order while they are stored in parallel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from crc32c import crc32c

from registry_grpc.domain.errors import Reason, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from registry_grpc.domain.artifacts import Bytes
    from registry_grpc.ports.artifacts import RunningDigest


def verified(offset: int, chunks: Sequence[Bytes], checksums: Sequence[int | None], persisted: int) -> Iterator[Bytes]:
    """The chunks, each once its CRC32C is verified if it has one; the first begins at byte `offset` of the file.

    Whoever hashes each as it comes finds it in the processor's cache.

    Raises: CHUNK_CHECKSUM.
    """
    for chunk, expected in zip(chunks, checksums, strict=True):
        if expected is not None and crc32c(chunk) != expected:
            raise RegistryError(
                Reason.CHUNK_CHECKSUM,
                f"the chunk at byte {offset} does not have CRC32C {expected:08x}; resume at {persisted}",
                offset=offset,
                persistedSize=persisted,
            )
        yield chunk
        offset += len(chunk)


class BrokenHashError(Exception):
    """An earlier part failed: the hash of the whole can no longer be had."""


class PartHash:
    """Takes parts from several threads and hashes them by their number. A failed part breaks those behind it."""

    def __init__(self, digest: RunningDigest, first: int) -> None:
        """`first` is the number of the first part that will come."""
        self._digest = digest
        self._turn = threading.Condition()
        self._next: int | None = first

    def take(self, number: int, chunks: Iterable[Bytes]) -> bytes:
        """The block digests of part `number`; waits for the parts before it.

        Raises: BrokenHashError, and what the chunks raise, after which no part can be taken.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._next in {number, None})
            if self._next is None:
                raise BrokenHashError
            following, self._next = number + 1, None  # for the case that the chunks raise
            try:
                blocks = self._digest.update(chunks)
                self._next = following
            finally:
                self._turn.notify_all()
        return blocks

    def fail(self) -> None:
        """Give up: whoever waits, or comes later, gets BrokenHashError."""
        with self._turn:
            self._next = None
            self._turn.notify_all()

    def hexdigest(self) -> str:
        """SHA-256 of everything taken."""
        return self._digest.hexdigest()
