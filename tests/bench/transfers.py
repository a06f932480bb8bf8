"""Uploads and downloads of one large file through the registry, and by the minio SDK to the same server."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from registry_grpc.client.connection import Stubs
from registry_grpc.client.upload import upload_message
from registry_grpc.v1 import artifacts_pb2, common_pb2, models_pb2, versions_pb2
from tests.bench.harness import Sample, cpu_s, rss_mib
from tests.kit.engines import Bucket
from tests.kit.server import Api, RegistryServer

MIB = 1 << 20


def make_file(path: Path, size_mib: int) -> str:
    """Write incompressible bytes; returns their SHA-256."""
    digest = hashlib.sha256()
    seed = hashlib.shake_256(b"registry-grpc bench").digest(MIB)
    with path.open("wb") as file:
        for number in range(size_mib):
            # Every MiB differs, so that nothing on the way can deduplicate.
            block = number.to_bytes(8, "big") + seed[8:]
            digest.update(block)
            file.write(block)
        # Else the kernel writes it out by and by, on the cores and the disk of what is measured.
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


class Registry:
    """One server with one client, and a fresh draft for each upload."""

    def __init__(self, server: RegistryServer, file: Path, sha256: str) -> None:
        """Creates the model that takes the uploads."""
        self.api: Api = server.api()
        self.send = Stubs(self.api.channel).write_upload
        self.pid = server.process.pid if server.process else 0
        self.file, self.sha256, self.size = file, sha256, file.stat().st_size
        self.artifact = ""
        self.peak_mib: float | None = None
        """The server's memory at its largest while a file went up; looked at only while this is a number.

        Looking once a MiB costs this process, on the cores that the server needs, 0.1 to 0.2 s a GiB.
        """

    def upload(self) -> Sample:
        """One upload in one stream. Another project each time: inside one the bytes would be deduplicated."""
        project = f"bench-{uuid.uuid4().hex[:8]}"
        draft = self._draft(project)
        wanted = artifacts_pb2.StartUploadRequest(parent=draft, path="model.bin", size_bytes=self.size)
        upload = self.api.artifacts.StartUpload(wanted)
        before, mine, began = cpu_s(self.pid), time.process_time(), time.monotonic()
        done = self.send(self._messages(upload.name))
        seconds = time.monotonic() - began
        if done.artifact.digest.sha256 != self.sha256:
            raise AssertionError(f"stored {done.artifact.digest.sha256}, sent {self.sha256}")
        self.artifact = done.artifact.name
        gib = self.size / (1 << 30)
        used = {
            "server_cpu_s_per_gib": (cpu_s(self.pid) - before) / gib,
            "client_cpu_s_per_gib": (time.process_time() - mine) / gib,
        }
        return Sample(self.size / 1e6 / seconds, used)

    def download(self) -> Sample:
        """The last upload, read in one stream and hashed."""
        before, mine = cpu_s(self.pid), time.process_time()
        digest, began = hashlib.sha256(), time.monotonic()
        for message in self.api.artifacts.ReadArtifact(artifacts_pb2.ReadArtifactRequest(name=self.artifact)):
            digest.update(message.chunk.content)
        seconds = time.monotonic() - began
        if digest.hexdigest() != self.sha256:
            raise AssertionError("the download has other bytes")
        gib = self.size / (1 << 30)
        used = {
            "server_cpu_s_per_gib": (cpu_s(self.pid) - before) / gib,
            "client_cpu_s_per_gib": (time.process_time() - mine) / gib,
        }
        return Sample(self.size / 1e6 / seconds, used)

    def _draft(self, project: str) -> str:
        from registry_grpc.v1 import projects_pb2

        self.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project))
        parent = f"projects/{project}"
        model = self.api.models.CreateModel(models_pb2.CreateModelRequest(parent=parent, model_id="big"))
        return self.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model.name)).name

    def _messages(self, name: str) -> Iterator[bytes]:
        """As our SDK writes them."""
        offset = 0
        with self.file.open("rb") as file:
            while chunk := file.read(MIB):
                yield upload_message(name if offset == 0 else "", offset, chunk)
                offset += len(chunk)
                if self.peak_mib is not None:
                    self.peak_mib = max(self.peak_mib, rss_mib(self.pid))
        whole = common_pb2.Digest(sha256=self.sha256, size_bytes=self.size)
        last = artifacts_pb2.WriteUploadRequest(write_offset=offset, finish_write=True, digest=whole)
        yield last.SerializeToString()


class Direct:
    """The minio SDK, the same file, the same server."""

    def __init__(self, bucket: Bucket, file: Path, sha256: str) -> None:
        """Uses the SDK's own defaults."""
        self.client, self.bucket, self.file, self.sha256 = bucket.client(), bucket.name, file, sha256
        self.size = file.stat().st_size

    def upload(self) -> Sample:
        """`put_object` with 16 MiB parts; the SDK sends three at once."""
        mine, began = time.process_time(), time.monotonic()
        with self.file.open("rb") as file:
            self.client.put_object(
                bucket_name=self.bucket,
                object_name="direct",
                data=file,
                length=self.size,
                part_size=16 * MIB,
            )
        return self._sample(mine, began)

    def download(self) -> Sample:
        """`get_object`, hashed."""
        mine, began = time.process_time(), time.monotonic()
        digest = hashlib.sha256()
        response = self.client.get_object(bucket_name=self.bucket, object_name="direct")
        for chunk in response.stream(MIB):
            digest.update(chunk)
        response.release_conn()
        if digest.hexdigest() != self.sha256:
            raise AssertionError("the download has other bytes")
        return self._sample(mine, began)

    def _sample(self, cpu_before_s: float, began_s: float) -> Sample:
        used_s = time.process_time() - cpu_before_s
        seconds = time.monotonic() - began_s
        return Sample(
            self.size / 1e6 / seconds,
            {"server_cpu_s_per_gib": 0.0, "client_cpu_s_per_gib": used_s / (self.size / (1 << 30))},
        )
