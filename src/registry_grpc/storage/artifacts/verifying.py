"""Reads that hand out no byte before the block around it was verified."""

from collections.abc import Iterator

from blake3 import blake3

from registry_grpc.domain.artifacts import BLOCK_BYTES, Blob
from registry_grpc.ports.artifacts import ArtifactStore, MissingObjectError
from registry_grpc.storage.artifacts.faults import CHUNK_BYTES, corrupt

_DIGEST_BYTES = 32


class VerifiedReads:
    """Ranges of blobs, each block of 16 MiB checked against the digest taken when it was stored."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def read(self, blob: Blob, offset: int, length: int, *, artifact: str = "") -> Iterator[bytes]:
        """The bytes `offset … offset + length`, cut at the end of the blob, in chunks of at most 1 MiB.

        One block is in memory at a time. `artifact` and errors as for `blocks`.
        """
        for block in self.blocks(blob, offset, length, artifact=artifact):
            yield from block

    def blocks(self, blob: Blob, offset: int, length: int, *, artifact: str = "") -> Iterator[list[bytes]]:
        """As `read`, a verified block at a time: its chunks, without those outside of the range.

        The store is not kept waiting while the caller is slow: a block is read in one go. `artifact` is what an
        error calls the file: its resource name (the blob's digest if left out).

        Raises: ARTIFACT_CORRUPT when bytes differ, are missing, or cannot be checked;
        STORAGE_UNAVAILABLE.
        """
        name = artifact or f"sha256:{blob.digest.sha256}"
        size_bytes = blob.digest.size_bytes
        blocks = -(-size_bytes // BLOCK_BYTES)
        if len(blob.block_digests) != blocks * _DIGEST_BYTES:
            raise corrupt(name, "its block digests do not fit its size")
        end = min(offset + length, size_bytes)
        while offset < end:
            number = offset // BLOCK_BYTES
            start = number * BLOCK_BYTES
            chunks = self._block(blob, number, name)
            yield list(_cut(chunks, offset - start, end - start))
            offset = start + BLOCK_BYTES

    def _block(self, blob: Blob, number: int, name: str) -> list[bytes]:
        start = number * BLOCK_BYTES
        expected = min(BLOCK_BYTES, blob.digest.size_bytes - start)
        digest = blake3()
        chunks = []
        try:
            for chunk in self._store.read(blob.key, start, expected):
                digest.update(chunk)
                chunks.append(chunk)
        except MissingObjectError:
            raise corrupt(name, "they are missing from the store") from None
        found = sum(map(len, chunks))
        if found != expected:
            raise corrupt(name, f"block {number} has {found} bytes and should have {expected}")
        known = blob.block_digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]
        if digest.digest() != known:
            raise corrupt(name, f"block {number} does not have its digest")
        return chunks


def _cut(chunks: list[bytes], start: int, end: int) -> Iterator[bytes]:
    """Bytes `start … end` of chunks joined; whole chunks are handed on as they are."""
    position = 0
    for chunk in chunks:
        first, last = max(start - position, 0), min(end - position, len(chunk))
        position += len(chunk)
        for begin in range(first, last, CHUNK_BYTES):
            yield chunk[begin : min(begin + CHUNK_BYTES, last)]
