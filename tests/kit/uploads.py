"""Builders for tests of uploads and artifacts: deployments, drafts, streams of chunks, and what was refused."""

import contextlib
import hashlib
import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from crc32c import crc32c as crc32c_of
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2, models_pb2, projects_pb2, versions_pb2
from tests.kit import engines
from tests.kit.server import Api, RegistryServer, distributed, running

MIB = 1 << 20
PART = 16 * MIB
DEPLOYMENTS = ("embedded", "distributed")
"""SQLite and a directory; PostgreSQL and MinIO."""
EMPTY_SHA256 = hashlib.sha256().hexdigest()
_IDS = itertools.count(1)


@contextlib.contextmanager
def deployed(kind: str, environment: Mapping[str, str], **settings: str) -> Iterator[RegistryServer]:
    """A server of that deployment, on an empty database and an empty store."""
    with contextlib.ExitStack() as stack:
        if kind == "distributed":
            url = stack.enter_context(engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]))
            bucket = stack.enter_context(
                engines.fresh_bucket(
                    environment["MREG_TEST_MINIO_ENDPOINT"],
                    environment["MREG_TEST_MINIO_ACCESS_KEY"],
                    environment["MREG_TEST_MINIO_SECRET_KEY"],
                ),
            )
            settings = {**distributed(url, bucket), "s3_public_endpoint": bucket.endpoint, **settings}
        yield stack.enter_context(running(settings))


@dataclass(frozen=True)
class Refusal:
    """What a client is told by an error."""

    code: str
    reason: str
    facts: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    retry_s: float | None = None
    text: str = ""


def refused(call: Callable[[], Any]) -> Refusal:
    """The refusal `call` ends with; it must not succeed."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def outcome(call: Callable[[], Any]) -> Any:
    """What `call` returns, or the refusal it ends with: for races that may end either way."""
    try:
        return call()
    except grpc.RpcError as error:
        return refusal_of(error)


def refusal_of(error: Any) -> Refusal:
    """Code and details of an RpcError; an error without ErrorInfo was not ours (the transport's)."""
    code, text = error.code().name, error.details() or ""
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if packed is None:
        return Refusal(code, "", text=text)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    found = {
        type(known)
        for detail in Status.FromString(packed).details
        for known in (info, bad, retry)
        if detail.Unpack(known)
    }
    return Refusal(
        code,
        info.reason,
        dict(info.metadata),
        tuple(violation.field for violation in bad.field_violations),
        retry.retry_delay.ToMilliseconds() / 1000 if type(retry) in found else None,
        text,
    )


class Content:
    """Bytes of any size that need no memory and differ in every MiB and between contents."""

    def __init__(self, size_bytes: int, seed: int | None = None) -> None:
        self.size_bytes = size_bytes
        self.seed = random.getrandbits(64) if seed is None else seed
        self._base = random.Random(self.seed).randbytes(min(MIB, size_bytes))
        self._sha256 = ""

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, _ = wanted.indices(self.size_bytes)
        blocks = (self._block(at) for at in range(start // MIB, -(-stop // MIB)))
        lead = start - start % MIB
        return b"".join(blocks)[start - lead : stop - lead]

    def _block(self, at: int) -> bytes:
        stamp = at.to_bytes(8, "big") if at else b""
        return (stamp + self._base[len(stamp) :])[: self.size_bytes - at * MIB]

    def chunks(self, offset: int = 0, chunk_bytes: int = MIB) -> Iterator[bytes]:
        """Its bytes from `offset` on."""
        for start in range(offset, self.size_bytes, chunk_bytes):
            yield self[start : min(start + chunk_bytes, self.size_bytes)]

    @property
    def whole(self) -> bytes:
        """All of it."""
        return self[0 : self.size_bytes]

    @property
    def sha256(self) -> str:
        """Hex."""
        if not self._sha256:
            digest = hashlib.sha256()
            for chunk in self.chunks():
                digest.update(chunk)
            self._sha256 = digest.hexdigest()
        return self._sha256

    @property
    def digest(self) -> common_pb2.Digest:
        """Of the wire."""
        return common_pb2.Digest(sha256=self.sha256, size_bytes=self.size_bytes)


def chunk(content: bytes, *, crc32c: int | None = None) -> common_pb2.Chunk:
    """A chunk with its checksum, or with the wrong one that was given."""
    return common_pb2.Chunk(content=content, crc32c=crc32c_of(content) if crc32c is None else crc32c)


def part_of_stream(name: str, content: Content, start: int, stop: int) -> Iterator[pb.WriteUploadRequest]:
    """The messages for bytes `start … stop`, which do not finish."""
    for offset in range(start, stop, MIB):
        piece = content[offset : min(offset + MIB, stop)]
        yield pb.WriteUploadRequest(name=name, write_offset=offset, chunk=chunk(piece))


def message(name, offset, content, **fields):
    """One message of a stream, with its checksum."""
    return pb.WriteUploadRequest(name=name, write_offset=offset, chunk=chunk(content), **fields)


def finish(name: str, content: Content, **changes: Any) -> pb.WriteUploadRequest:
    """The last message, without bytes."""
    fields = {"name": name, "write_offset": content.size_bytes, "finish_write": True, "digest": content.digest}
    return pb.WriteUploadRequest(**(fields | changes))


def stream(name: str, content: Content, offset: int = 0) -> Iterator[pb.WriteUploadRequest]:
    """A whole upload from `offset` on."""
    yield from part_of_stream(name, content, offset, content.size_bytes)
    yield finish(name, content)


class Held:
    """Messages whose stream stays open after the last one until it is let go, or the call ends."""

    def __init__(self, messages: Iterable[pb.WriteUploadRequest]) -> None:
        import threading

        self._messages = messages
        self.sent = 0
        self._gate = threading.Event()

    def __iter__(self) -> Iterator[pb.WriteUploadRequest]:
        for message in self._messages:
            yield message
            self.sent += 1
        self._gate.wait(60)

    def let_go(self) -> None:
        """End the stream."""
        self._gate.set()


@dataclass(frozen=True)
class Registry:
    """A running server and the few verbs these tests speak in."""

    server: RegistryServer
    api: Api

    @classmethod
    def of(cls, server: RegistryServer) -> "Registry":
        """With a channel of its own."""
        return cls(server, server.api())

    def project(self) -> str:
        """A new project."""
        request = projects_pb2.CreateProjectRequest(project_id=f"project-{uuid.uuid4().hex[:12]}")
        return self.api.projects.CreateProject(request).name

    def draft(self, project: str = "projects/default") -> str:
        """A new version of a new model."""
        model = f"model-{next(_IDS)}-{uuid.uuid4().hex[:8]}"
        made = self.api.models.CreateModel(models_pb2.CreateModelRequest(parent=project, model_id=model))
        return self.version_of(made.name)

    def version_of(self, model: str) -> str:
        """Another version of that model."""
        return self.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model)).name

    def start(self, version: str, path: str, size_bytes: int, **fields: Any) -> pb.Upload:
        """StartUpload."""
        request = pb.StartUploadRequest(parent=version, path=path, size_bytes=size_bytes, **fields)
        return self.api.artifacts.StartUpload(request)

    def write(self, messages: Iterable[pb.WriteUploadRequest], timeout_s: float = 60) -> pb.Upload:
        """WriteUpload."""
        return self.api.artifacts.WriteUpload(iter(messages), timeout=timeout_s)

    def writing(self, messages: Iterable[pb.WriteUploadRequest], timeout_s: float = 60) -> Any:
        """WriteUpload under way."""
        return self.api.artifacts.WriteUpload.future(iter(messages), timeout=timeout_s)

    def upload(self, name: str) -> pb.Upload:
        """GetUpload."""
        return self.api.artifacts.GetUpload(pb.GetUploadRequest(name=name))

    def cancel(self, name: str) -> pb.Upload:
        """CancelUpload."""
        return self.api.artifacts.CancelUpload(pb.CancelUploadRequest(name=name))

    def push(self, version: str, path: str, content: Content, **fields: Any) -> pb.Artifact:
        """Upload a file whole."""
        upload = self.start(version, path, content.size_bytes, **fields)
        if upload.state != pb.Upload.STATE_COMMITTED:
            upload = self.write(stream(upload.name, content))
        assert upload.state == pb.Upload.STATE_COMMITTED
        return upload.artifact

    def finalize(self, version: str, **fields: Any) -> versions_pb2.ModelVersion:
        """FinalizeVersion."""
        return self.api.models.FinalizeVersion(versions_pb2.FinalizeVersionRequest(name=version, **fields))

    def read(self, name: str, **fields: Any) -> bytes:
        """ReadArtifact, each chunk checked."""
        found = bytearray()
        for message in self.api.artifacts.ReadArtifact(pb.ReadArtifactRequest(name=name, **fields), timeout=60):
            assert crc32c_of(message.chunk.content) == message.chunk.crc32c
            assert message.offset == fields.get("read_offset", 0) + len(found)
            found += message.chunk.content
        return bytes(found)

    def state(self, version: str) -> tuple[int, list[tuple[str, str, int, str]]]:
        """What must not change when something is refused: revision and files of the version."""
        listed = self.api.artifacts.ListArtifacts(pb.ListArtifactsRequest(parent=version, page_size=1000))
        files = [(file.path, file.digest.sha256, file.digest.size_bytes, file.etag) for file in listed.artifacts]
        return self.api.models.GetVersion(versions_pb2.GetVersionRequest(name=version)).revision, files


def eventually(check: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true answer of `check`."""
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found
