"""ReadArtifact: verified bytes outward, one chunk ahead of the client."""

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
    open_verified: Callable[[Artifact, Blob, int, int], Iterator[bytes]]
    """Verified bytes of a blob from an offset on, so many of them, in chunks of at most 1 MiB."""
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
        head = artifact_to_wire(artifact)
        offset = request.read_offset
        if not length:
            yield artifacts_pb2.ReadArtifactResponse(artifact=head, offset=offset)
            return
        chunks = self.open_verified(artifact, blob, offset, length)
        ahead: asyncio.Future[tuple[bytes, int] | None] = asyncio.ensure_future(self._next(chunks))
        try:
            first = True
            while (found := await ahead) is not None:
                # The store reads on while the client takes what it has.
                ahead = asyncio.ensure_future(self._next(chunks))
                content, checksum = found
                yield artifacts_pb2.ReadArtifactResponse(
                    artifact=head if first else None,
                    offset=offset,
                    chunk=common_pb2.Chunk(content=content, crc32c=checksum),
                )
                first = False
                offset += len(content)
                self.observer.downloaded(len(content))
        finally:
            await self._close(ahead, chunks)

    async def _next(self, chunks: Iterator[bytes]) -> tuple[bytes, int] | None:
        return await self.transfer.run(_pull, chunks)

    async def _close(self, ahead: asyncio.Future[tuple[bytes, int] | None], chunks: Iterator[bytes]) -> None:
        """Let go of the store's connection, also when the client went away in the middle."""
        await asyncio.wait([ahead])
        close = getattr(chunks, "close", None)
        if not ahead.cancelled() and ahead.exception() is None and close is not None:
            await self.transfer.run(close)


def _pull(chunks: Iterator[bytes]) -> tuple[bytes, int] | None:
    content = next(chunks, None)
    return None if content is None else (content, google_crc32c.value(content))


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
