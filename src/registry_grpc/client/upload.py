"""Sending one file into a draft, going on at the persisted offset whatever cuts the stream."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from registry_grpc.client.errors import Conflict, DeadlineExceeded, FailedPrecondition, NotFound, RegistryError
from registry_grpc.client.progress import Phase, Progress
from registry_grpc.client.retries import Patience, StoppedError
from registry_grpc.client.status import error_from_rpc
from registry_grpc.client.tree import HashedFile, changed, require_unchanged
from registry_grpc.v1 import artifacts_pb2, common_pb2
from registry_grpc.wire import chunk_message

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from registry_grpc.client.connection import Connection
    from registry_grpc.client.progress import Report

CHUNK_BYTES = 1 << 20
STALL_TIMEOUT_S = 120.0
"""Without a chunk taken by the transport the stream counts as dead."""
COMPLETE_TIMEOUT_S = 900.0
"""From the last chunk to the answer: a resumed upload is read back once before it completes."""
TAKE_OVER_AFTER_S = 10.0
"""Then a new stream asks: it gets the outcome of a completion that is alive, and takes over one that died."""
_POLL_S = 0.2

_State = artifacts_pb2.Upload.State


@dataclass(frozen=True, slots=True)
class FileUpload:
    """One file on its way into `version`."""

    connection: Connection
    version: str
    file: HashedFile
    stop: threading.Event
    report: Report

    def run(self, upload: artifacts_pb2.Upload | None = None) -> artifacts_pb2.Artifact:
        """Send the file, and return what it is in the draft; `upload` is one of it that is already open.

        Raises: RegistryError; IntegrityError when the file changed meanwhile.
        """
        patience = Patience(self.stop)
        upload = upload or self._start()
        completing_s = time.monotonic()
        while upload.state != _State.STATE_COMMITTED:
            before = upload.persisted_size
            if upload.state != _State.STATE_FINALIZING:
                completing_s = time.monotonic()
            try:
                upload = self._step(upload, take_over=time.monotonic() - completing_s > TAKE_OVER_AFTER_S)
            except RegistryError as error:
                if self._is_gone(error):
                    patience.wait(DeadlineExceeded(error.message, reason=error.reason))
                    upload = self._start()
                    continue
                patience.wait(self._explained(error))
                upload = self._look(upload, patience)
            if upload.persisted_size > before:
                patience.moved()
        self.tell(self.file.digest.size_bytes)
        return upload.artifact

    def _start(self) -> artifacts_pb2.Upload:
        digest = self.file.digest
        request = artifacts_pb2.StartUploadRequest(
            parent=self.version, path=digest.path, size_bytes=digest.size_bytes, sha256=digest.sha256
        )
        return self.connection.write(self.connection.stubs.artifacts.StartUpload, request)

    def _step(self, upload: artifacts_pb2.Upload, *, take_over: bool) -> artifacts_pb2.Upload:
        """The upload after one more stream, or after one more look while the server completes it."""
        if upload.state == _State.STATE_FINALIZING and not take_over:
            if self.stop.wait(_POLL_S):
                raise StoppedError
            return self._get(upload.name)
        if upload.state not in {_State.STATE_ACTIVE, _State.STATE_FINALIZING}:
            state = _State.Name(upload.state).removeprefix("STATE_")
            raise FailedPrecondition(
                f"the upload of {self.file.digest.path} is {state}: {upload.failure or 'start the push again'}",
                reason="UPLOAD_CLOSED",
            )
        answer = _Stream(self, upload).run()
        if answer.state == _State.STATE_ACTIVE:
            raise DeadlineExceeded(f"the server closed the upload of {self.file.digest.path} early")
        return answer

    def _look(self, upload: artifacts_pb2.Upload, patience: Patience) -> artifacts_pb2.Upload:
        while True:
            try:
                return self._get(upload.name)
            except RegistryError as error:
                if self._is_gone(error):
                    return self._start()
                patience.wait(error)

    def _get(self, name: str) -> artifacts_pb2.Upload:
        request = artifacts_pb2.GetUploadRequest(name=name)
        return self.connection.read(self.connection.stubs.artifacts.GetUpload, request)

    @staticmethod
    def _is_gone(error: RegistryError) -> bool:
        """The upload expired or was cancelled; another one can be started."""
        return isinstance(error, (NotFound, FailedPrecondition)) and error.reason in {
            "UPLOAD_NOT_FOUND",
            "UPLOAD_CLOSED",
        }

    def _explained(self, error: RegistryError) -> RegistryError:
        if error.reason == "DIGEST_MISMATCH":
            return changed(self.file.local)
        if error.reason == "UPLOAD_SUPERSEDED":
            return Conflict(
                f"another process pushes {self.file.digest.path} of the same version; let one of them finish",
                reason=error.reason,
                metadata=error.metadata,
            )
        return error

    def tell(self, done_bytes: int) -> None:
        """Report how far the file is, bytes."""
        self.report(Progress(Phase.UPLOAD, self.file.digest.path, done_bytes, self.file.digest.size_bytes))


class _Stream:
    """One WriteUpload call."""

    def __init__(self, upload: FileUpload, at: artifacts_pb2.Upload) -> None:
        self._upload = upload
        self._name = at.name
        self._offset = at.persisted_size
        self._chunk_bytes = min(CHUNK_BYTES, at.max_chunk_bytes or CHUNK_BYTES)
        self._taken_s = time.monotonic()
        self._sent_all = False
        self._failure: Exception | None = None

    def run(self) -> artifacts_pb2.Upload:
        """The upload as the server answers it. Raises: RegistryError, StoppedError."""
        connection = self._upload.connection
        call_id = str(uuid.uuid4())
        metadata = tuple(connection.metadata(read=False, call_id=call_id))
        call = connection.stubs.write_upload.future(self._messages(), metadata=metadata)
        try:
            answer = self._wait(call)
        except grpc.RpcError as error:
            if self._failure is not None:
                # gRPC only says that the iterator raised; this is what it raised.
                raise self._failure from error
            raise error_from_rpc(error, call_id) from error
        finally:
            call.cancel()
        connection.note_write(call)
        return answer

    def _wait(self, call: grpc.Future[artifacts_pb2.Upload]) -> artifacts_pb2.Upload:
        while True:
            try:
                return call.result(timeout=_POLL_S)
            except grpc.FutureTimeoutError:
                limit_s = COMPLETE_TIMEOUT_S if self._sent_all else STALL_TIMEOUT_S
                if self._upload.stop.is_set():
                    raise StoppedError from None
                if time.monotonic() - self._taken_s > limit_s:
                    path = self._upload.file.digest.path
                    raise DeadlineExceeded(f"the upload of {path} made no progress for {limit_s:.0f} s") from None

    def _messages(self) -> Iterator[bytes]:
        try:
            yield from self._read()
        except Exception as error:
            self._failure = error
            raise

    def _read(self) -> Iterator[bytes]:
        digest, local = self._upload.file.digest, self._upload.file.local
        name, offset = self._name, self._offset
        with local.source.open("rb") as stream:
            require_unchanged(local, os.fstat(stream.fileno()))
            stream.seek(offset)
            while offset < digest.size_bytes:
                content = stream.read(min(self._chunk_bytes, digest.size_bytes - offset))
                if not content:
                    raise changed(local)
                yield upload_message(name, offset, content)
                name = ""
                offset += len(content)
                self._taken_s = time.monotonic()
                self._upload.tell(offset)
            require_unchanged(local, os.fstat(stream.fileno()))
        whole = common_pb2.Digest(sha256=digest.sha256, size_bytes=digest.size_bytes)
        self._sent_all = True
        last = artifacts_pb2.WriteUploadRequest(name=name, write_offset=offset, finish_write=True, digest=whole)
        yield last.SerializeToString()


def upload_message(name: str, offset: int, content: bytes) -> bytes:
    """A serialised WriteUploadRequest with a chunk that begins at byte `offset` of the file."""
    rest = artifacts_pb2.WriteUploadRequest(name=name, write_offset=offset)
    return chunk_message(rest.SerializeToString(), artifacts_pb2.WriteUploadRequest.CHUNK_FIELD_NUMBER, content)
