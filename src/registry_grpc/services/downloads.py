"""ReadArtifact: verified bytes outward, one block ahead of the client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ArtifactName
from registry_grpc.services.codec.artifacts import artifact_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.v1 import artifacts_pb2
from registry_grpc.wire import chunk_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from registry_grpc.domain.artifacts import Artifact, Blob
    from registry_grpc.services.consumption import Consumption
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
    consumption: Consumption

    async def send(self, request: artifacts_pb2.ReadArtifactRequest) -> AsyncIterator[bytes]:
        """The messages of one read, serialised.

        Raises: ARTIFACT_NOT_FOUND, READ_OFFSET, DIGEST_MISMATCH, ARTIFACT_CORRUPT, STORAGE_UNAVAILABLE.
        """
        name = ArtifactName.parse(request.name)
        artifact, blob = await self.edge.read(lambda: self.locate(name))
        length = _length(request, artifact)
        first = artifacts_pb2.ReadArtifactResponse(artifact=artifact_to_wire(artifact), offset=request.read_offset)
        if not length:
            yield first.SerializeToString()
            if not artifact.digest.size_bytes:
                self._count(artifact)
            return
        messages = _Messages(self.open_verified(artifact, blob, request.read_offset, length), first)
        ahead = asyncio.ensure_future(self.transfer.run(messages.next_block))
        try:
            while found := await ahead:
                # The store reads the next block while the client takes this one.
                ahead = asyncio.ensure_future(self.transfer.run(messages.next_block))
                for message in found:
                    yield message
                self.observer.downloaded(sum(map(len, found)))
            if request.read_offset + length == artifact.digest.size_bytes:
                self._count(artifact)
        finally:
            # Let go of the store's connection, also when the client went away in the middle.
            await asyncio.wait([ahead])
            if not ahead.cancelled() and ahead.exception() is None:
                await self.transfer.run(messages.close)

    def _count(self, artifact: Artifact) -> None:
        """Once for a file that was read to its end, in however many parts."""
        self.consumption.downloaded(call_context().principal.name, artifact.version_uid)


class _Messages:
    """Makes the messages of a read, serialised: that copies every byte, so it is done in the transfer pool."""

    def __init__(self, blocks: Iterator[list[bytes]], first: artifacts_pb2.ReadArtifactResponse) -> None:
        self._blocks = blocks
        self._head = first.SerializeToString()
        self._offset = first.offset

    def next_block(self) -> list[bytes]:
        """The messages of the next block; none at the end."""
        return [self._serialized(content) for content in next(self._blocks, ())]

    def _serialized(self, content: bytes) -> bytes:
        head = self._head or artifacts_pb2.ReadArtifactResponse(offset=self._offset).SerializeToString()
        self._head = b""
        self._offset += len(content)
        return chunk_message(head, artifacts_pb2.ReadArtifactResponse.CHUNK_FIELD_NUMBER, content)

    def close(self) -> None:
        """Drop what is left."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


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
