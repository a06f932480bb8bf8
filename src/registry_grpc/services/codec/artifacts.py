"""Digests, files and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import DEFAULT_MEDIA_TYPE, MIB, UploadState, check_path
from registry_grpc.domain.digests import Digest, is_sha256
from registry_grpc.domain.errors import invalid_field
from registry_grpc.services.codec.enums import UPLOAD_STATE
from registry_grpc.services.codec.times import time_to_wire
from registry_grpc.v1 import artifacts_pb2, common_pb2

if TYPE_CHECKING:
    from registry_grpc.domain.artifacts import Artifact, Bytes, Upload

MAX_CHUNK_BYTES = 2 * MIB


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """One message of an upload. Its bytes stand beside it, where nobody copied them."""

    request: artifacts_pb2.WriteUploadRequest
    """Its chunk has everything but the content."""
    content: Bytes


def digest_to_wire(digest: Digest) -> common_pb2.Digest:
    """Identity of bytes."""
    return common_pb2.Digest(sha256=digest.sha256, size_bytes=digest.size_bytes)


def digest_from_wire(message: common_pb2.Digest, path: str = "digest") -> Digest:
    """Raises: INVALID_FIELD."""
    if not is_sha256(message.sha256):
        raise invalid_field(f"{path}.sha256", "must be 64 lowercase hexadecimal characters")
    if message.size_bytes < 0:
        raise invalid_field(f"{path}.size_bytes", "must not be negative")
    return Digest(message.sha256, message.size_bytes)


def attachment_from_wire(
    message: artifacts_pb2.ArtifactAttachment, path: str = "attachment"
) -> tuple[str, Digest, str]:
    """Path, digest and media type of a file to attach.

    Raises: INVALID_FIELD.
    """
    check_path(message.path, f"{path}.path")
    digest = digest_from_wire(message.digest, f"{path}.digest")
    return message.path, digest, message.media_type or DEFAULT_MEDIA_TYPE


def artifact_to_wire(artifact: Artifact) -> artifacts_pb2.Artifact:
    """One file of a version."""
    return artifacts_pb2.Artifact(
        name=artifact.name,
        path=artifact.path,
        digest=digest_to_wire(artifact.digest),
        media_type=artifact.media_type,
        create_time=time_to_wire(artifact.create_time),
        etag=artifact.etag,
        revision=artifact.revision,
    )


def upload_to_wire(upload: Upload) -> artifacts_pb2.Upload:
    """One file on its way; `artifact` once it is committed, else how much of it is safe."""
    message = artifacts_pb2.Upload(
        name=str(upload.name),
        version=str(upload.version),
        path=upload.path,
        size_bytes=upload.size_bytes,
        sha256=upload.sha256,
        media_type=upload.media_type,
        state=UPLOAD_STATE.to_wire(upload.state),
        deduplicated=upload.deduplicated,
        failure=upload.failure,
        max_chunk_bytes=MAX_CHUNK_BYTES,
        rewind_bytes=upload.part_bytes,
        create_time=time_to_wire(upload.create_time),
        expire_time=time_to_wire(upload.expire_time),
        creator=upload.creator,
    )
    if upload.state is UploadState.COMMITTED and upload.artifact is not None:
        message.artifact.CopyFrom(artifact_to_wire(upload.artifact))
    else:
        message.persisted_size = upload.persisted_size
    return message
