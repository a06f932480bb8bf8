"""Reading the bytes of one file: in order, checked chunk by chunk, going on where a cut stream ended."""

from __future__ import annotations

import contextlib
import hashlib
import io
import uuid
from typing import TYPE_CHECKING, BinaryIO, cast

import grpc
from crc32c import crc32c

from registry_grpc.client.errors import IntegrityError, RegistryError, Unavailable
from registry_grpc.client.retries import Patience
from registry_grpc.client.status import error_from_rpc
from registry_grpc.v1 import artifacts_pb2

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator

    from registry_grpc.client.connection import Connection

CALL_TIMEOUT_S = 300.0
"""Of one stream; one that got bytes by then simply goes on in the next."""
BUFFER_BYTES = 1 << 20


def read_chunks(
    connection: Connection,
    artifact: artifacts_pb2.Artifact,
    stop: threading.Event,
    offset: int = 0,
    length: int | None = None,
) -> Iterator[bytes]:
    """The bytes of `artifact` from `offset`, `length` of them or all, at most a chunk at a time.

    Each chunk is checked by its CRC32C. The SHA-256 of the whole is the caller's job.

    Raises: RegistryError; IntegrityError when what comes is not what was listed.
    """
    size = artifact.digest.size_bytes
    end = size if length is None else min(size, offset + length)
    patience = Patience(stop)
    while offset < end:
        wished = connection.written_revision
        try:
            for content in _stream(connection, artifact, offset, end):
                offset += len(content)
                patience.moved()
                yield content
            if offset < end:
                raise Unavailable(f"the stream of {artifact.path} ended at byte {offset} of {end}")
        except RegistryError as error:
            if not connection.forgets(error, wished):
                patience.wait(error)


def _stream(connection: Connection, artifact: artifacts_pb2.Artifact, offset: int, end: int) -> Iterator[bytes]:
    request = artifacts_pb2.ReadArtifactRequest(
        name=artifact.name, read_offset=offset, read_limit=end - offset, sha256=artifact.digest.sha256
    )
    call_id = str(uuid.uuid4())
    call = connection.stubs.artifacts.ReadArtifact(
        request, timeout=CALL_TIMEOUT_S, metadata=tuple(connection.metadata(read=True, call_id=call_id))
    )
    try:
        for answer in call:
            if answer.HasField("artifact") and answer.artifact.digest != artifact.digest:
                raise IntegrityError(f"{artifact.path} was replaced while it was read; pull again")
            content = answer.chunk.content
            if not content:
                continue
            if answer.offset != offset or offset + len(content) > end:
                raise IntegrityError(f"the server sent byte {answer.offset} of {artifact.path} for byte {offset}")
            if answer.chunk.HasField("crc32c") and crc32c(content) != answer.chunk.crc32c:
                # Damaged on the way; asked for again from here.
                raise Unavailable(f"a chunk of {artifact.path} at byte {offset} arrived damaged")
            offset += len(content)
            yield content
    except grpc.RpcError as error:
        raise error_from_rpc(error, call_id) from error
    finally:
        call.cancel()


def checked(chunks: Iterator[bytes], artifact: artifacts_pb2.Artifact) -> Iterator[bytes]:
    """All the bytes of `artifact`, as they come.

    Raises: IntegrityError, after the last, unless they have its SHA-256.
    """
    digest = hashlib.sha256()
    with contextlib.closing(cast("Generator[bytes]", chunks)):
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != artifact.digest.sha256:
        raise IntegrityError(
            f"{artifact.path} does not hash to {artifact.digest.sha256}; discard what was read",
            reason="DIGEST_MISMATCH",
        )


def open_stream(connection: Connection, artifact: artifacts_pb2.Artifact, stop: threading.Event) -> BinaryIO:
    """A buffered binary stream of `artifact`; reading to the end checks its SHA-256."""
    return cast("BinaryIO", io.BufferedReader(_ArtifactStream(connection, artifact, stop), BUFFER_BYTES))


class _ArtifactStream(io.RawIOBase):
    def __init__(self, connection: Connection, artifact: artifacts_pb2.Artifact, stop: threading.Event) -> None:
        super().__init__()
        self._chunks = checked(read_chunks(connection, artifact, stop), artifact)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._chunks.close()  # type: ignore[attr-defined]
        super().close()
