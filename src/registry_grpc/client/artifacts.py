"""The files of versions, one call each; `push` and `pull` move whole versions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from google.protobuf.duration_pb2 import Duration

from registry_grpc.client.connection import Pages
from registry_grpc.client.download import checked, open_stream, read_chunks
from registry_grpc.client.errors import InvalidArgument, NotFound, OutOfRange
from registry_grpc.client.manifest import artifact_id
from registry_grpc.client.metadata import enum_number
from registry_grpc.client.progress import silent
from registry_grpc.client.stages import StageCalls
from registry_grpc.client.tree import hash_files, local_file
from registry_grpc.client.upload import FileUpload
from registry_grpc.v1 import artifacts_pb2, common_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from registry_grpc.client.progress import Report

MAX_PER_CALL = 1000


class ArtifactCalls(StageCalls):
    """Files and uploads. Every method raises RegistryError."""

    def list_artifacts(self, ref: str, *, page_size: int = 0) -> Iterable[artifacts_pb2.Artifact]:
        """The files of a version, by the bytes of their paths; fetched page by page."""
        parent = self._version_name(ref)

        def fetch(token: str) -> artifacts_pb2.ListArtifactsResponse:
            request = artifacts_pb2.ListArtifactsRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.artifacts.ListArtifacts, request)

        return Pages[artifacts_pb2.Artifact](fetch, "artifacts")

    def get_artifact(self, ref: str, path: str) -> artifacts_pb2.Artifact:
        """One file of a version."""
        version = self._version_name(ref)
        request = artifacts_pb2.GetArtifactRequest(name=f"{version}/artifacts/{artifact_id(path)}")
        try:
            return self._connection.read(self._connection.stubs.artifacts.GetArtifact, request)
        except NotFound as error:
            if error.reason == "ARTIFACT_NOT_FOUND":
                error.message = f"{version} has no file {path!r}"
                error.args = (error.message,)
            raise

    def open_artifact(self, ref: str, path: str) -> BinaryIO:
        """A binary stream of one file, fetched as it is read.

        Every chunk is checked by its CRC32C; reading to the end raises IntegrityError unless the whole has its SHA-256.
        """
        found = self.get_artifact(ref, path)
        return open_stream(self._connection, found, threading.Event())

    def read(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of an artifact, given by its resource name, from `offset`: `length` of them, or all.

        Chunks of at most a few MiB, each checked by its CRC32C; all of them together by the SHA-256, at the end. A cut
        stream goes on where it was.

        Raises: IntegrityError; OutOfRange for an offset beyond the end.
        """
        if offset < 0 or (length is not None and length < 0):
            raise InvalidArgument(f"offset {offset} and length {length}: neither may be negative")
        request = artifacts_pb2.GetArtifactRequest(name=name)
        artifact = self._connection.read(self._connection.stubs.artifacts.GetArtifact, request)
        size = artifact.digest.size_bytes
        if offset > size:
            raise OutOfRange(f"offset {offset} is beyond the end of {artifact.path}, which has {size} bytes")
        chunks = read_chunks(self._connection, artifact, threading.Event(), offset, length)
        is_whole = offset == 0 and (length is None or length >= size)
        return checked(chunks, artifact) if is_whole else chunks

    def upload(
        self, ref: str, path: str, source: str | Path | BinaryIO, *, progress: Report | None = None
    ) -> artifacts_pb2.Artifact:
        """Send one file, or a binary stream to its end, into a draft as `path`; resumes by itself.

        A stream is first copied into a temporary file: its size and SHA-256 are told before its bytes, and what a cut
        loses is sent again. A file of the draft at the same path is replaced.

        Raises: IntegrityError when the file changes meanwhile.
        """
        version = self._version_name(ref)
        report, stop = progress or silent, threading.Event()
        with local_file(path, source) as local:
            (hashed,) = hash_files([local], 1, stop, report)
            return FileUpload(self._connection, version, hashed, stop, report).run()

    def sign_url(self, ref: str, path: str, *, ttl_s: int | None = None) -> artifacts_pb2.SignArtifactUrlResponse:
        """A URL with which anyone can GET the file for `ttl_s` seconds (5 minutes); not every server gives one."""
        version = self._version_name(ref)
        request = artifacts_pb2.SignArtifactUrlRequest(
            name=f"{version}/artifacts/{artifact_id(path)}", ttl=None if ttl_s is None else Duration(seconds=ttl_s)
        )
        return self._connection.read(self._connection.stubs.artifacts.SignArtifactUrl, request)

    def find_missing(self, digests: Sequence[common_pb2.Digest], project: str | None = None) -> list[common_pb2.Digest]:
        """Of `digests`, those the project does not hold; the others stay for at least an hour."""
        parent = self.project_name(project)
        missing: list[common_pb2.Digest] = []
        for start in range(0, len(digests), MAX_PER_CALL):
            request = artifacts_pb2.FindMissingArtifactsRequest(
                parent=parent, digests=digests[start : start + MAX_PER_CALL]
            )
            missing += self._connection.read(self._connection.stubs.artifacts.FindMissingArtifacts, request).missing
        return missing

    def attach(
        self, version: str, attachments: Sequence[artifacts_pb2.ArtifactAttachment]
    ) -> list[artifacts_pb2.Artifact]:
        """The files, now in the draft, made from bytes the project holds; a thousand at a time."""
        parent = self.reference(version).version_name
        made: list[artifacts_pb2.Artifact] = []
        for start in range(0, len(attachments), MAX_PER_CALL):
            request = artifacts_pb2.AttachArtifactsRequest(
                parent=parent, attachments=attachments[start : start + MAX_PER_CALL]
            )
            made += self._connection.write(self._connection.stubs.artifacts.AttachArtifacts, request).artifacts
        return made

    def list_uploads(
        self, version: str, *, states: Iterable[str | int] = (), page_size: int = 0
    ) -> Iterable[artifacts_pb2.Upload]:
        """The uploads of a version, oldest first; `states` by name, e.g. active."""
        parent = self.reference(version).version_name
        kind = artifacts_pb2.Upload.State.DESCRIPTOR
        wanted: Any = [enum_number(kind, state, "states") for state in states]

        def fetch(token: str) -> artifacts_pb2.ListUploadsResponse:
            request = artifacts_pb2.ListUploadsRequest(
                parent=parent, page_size=page_size, page_token=token, states=wanted
            )
            return self._connection.read(self._connection.stubs.artifacts.ListUploads, request)

        return Pages[artifacts_pb2.Upload](fetch, "uploads")

    def cancel_upload(self, name: str) -> artifacts_pb2.Upload:
        """The upload, cancelled; what it stored is dropped."""
        request = artifacts_pb2.CancelUploadRequest(name=name)
        return self._connection.write(self._connection.stubs.artifacts.CancelUpload, request)

    def _version_name(self, ref: str) -> str:
        found = self.reference(ref)
        if found.number is not None and not found.digest:
            return found.version_name
        return self.resolve(found).version
