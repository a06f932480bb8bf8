"""ReadArtifact: verified bytes outward, one block ahead of the client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import google_crc32c

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ArtifactName
from registry_grpc.services.codec.artifacts import artifact_to_wire
from registry_grpc.v1 import artifacts_pb2, common_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from registry_grpc.domain.artifacts import Artifact, Blob
    from registry_grpc.services.edge import Edge, Pool
    from registry_grpc.usecases.files import LocateArtifact


class DownloadObserver(Protocol):
    """Counts bytes handed out."""

    def downloaded(self, size_bytes: int) -> None:
        """So many bytes left."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """Sends artifacts."""

    edge: Edge
    transfer: Pool
    locate: LocateArtifact
    open_verified: Callable[[Artifact, Blob, int, int], Iterator[list[bytes]]]
    """Verified bytes of a blob from an offset on, so many of them, by blocks of chunks of at most 1 MiB."""
    observer: DownloadObserver

    async def send(
        self, request: artifacts_pb2.ReadArtifactRequest
    ) -> AsyncIterator[artifacts_pb2.ReadArtifactResponse]:
        """The messages of one read.

        Raises: ARTIFACT_NOT_FOUND, READ_OFFSET, DIGEST_MISMATCH, ARTIFACT_CORRUPT, STORAGE_UNAVAILABLE.
        """
        name = ArtifactName.parse(request.name)
        artifact, blob = await self.edge.read(lambda: self.locate(name))
        length = _length(request, artifact)
        head: artifacts_pb2.Artifact | None = artifact_to_wire(artifact)
        offset = request.read_offset
        if not length:
            yield artifacts_pb2.ReadArtifactResponse(artifact=head, offset=offset)
            return
        blocks = self.open_verified(artifact, blob, offset, length)
        ahead = asyncio.ensure_future(self._next(blocks))
        try:
            while found := await ahead:
                # The store reads the next block while the client takes this one.
                ahead = asyncio.ensure_future(self._next(blocks))
                for chunk in found:
                    size = len(chunk.content)
                    yield artifacts_pb2.ReadArtifactResponse(artifact=head, offset=offset, chunk=chunk)
                    head = None
                    offset += size
                    self.observer.downloaded(size)
        finally:
            await self._close(ahead, blocks)

    async def _next(self, blocks: Iterator[list[bytes]]) -> list[common_pb2.Chunk]:
        return await self.transfer.run(_pull, blocks)

    async def _close(self, ahead: asyncio.Future[list[common_pb2.Chunk]], blocks: Iterator[list[bytes]]) -> None:
        """Let go of the store's connection, also when the client went away in the middle."""
        await asyncio.wait([ahead])
        close = getattr(blocks, "close", None)
        if not ahead.cancelled() and ahead.exception() is None and close is not None:
            await self.transfer.run(close)


def _pull(blocks: Iterator[list[bytes]]) -> list[common_pb2.Chunk]:
    """The chunks of the next block; none at the end."""
    return [common_pb2.Chunk(content=content, crc32c=google_crc32c.value(content)) for content in next(blocks, ())]


def _length(request: artifacts_pb2.ReadArtifactRequest, artifact: Artifact) -> int:
    size = artifact.digest.size_bytes
    if request.sha256 and request.sha256 != artifact.digest.sha256:
        raise RegistryError(
            Reason.DIGEST_MISMATCH,
            f"{artifact.name} has sha256 {artifact.digest.sha256}, not {request.sha256}; start the download again",
            expected=request.sha256,
            actual=artifact.digest.sha256,
        )
    if request.read_offset > size:
        raise RegistryError(
            Reason.READ_OFFSET,
            f"read_offset {request.read_offset} is beyond the {size} bytes of {artifact.path!r}",
            size=size,
        )
    left = size - request.read_offset
    return min(left, request.read_limit) if request.read_limit else left
