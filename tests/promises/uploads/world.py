"""A deployment whose store and tables can be looked at from outside, with nothing of the registry in between."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from registry_grpc.domain.garbage import MARKER_KEY
from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import models_pb2, versions_pb2
from tests.kit import engines
from tests.kit.server import RegistryServer, distributed, running
from tests.kit.uploads import Registry
from tests.kit.waiting import until

EMBEDDED, DISTRIBUTED = "embedded", "distributed"
KINDS = (EMBEDDED, DISTRIBUTED)
READY = versions_pb2.VERSION_STATE_READY


@dataclass
class World:
    """One server over stores that a test may inspect."""

    server: RegistryServer
    bucket: engines.Bucket | None = None
    """None: a directory."""
    database_url: str = ""
    """Empty: SQLite in the data directory."""

    @property
    def registry(self) -> Registry:
        """A new channel to the server as it runs now."""
        return Registry.of(self.server)

    def restart(self, failpoints: str = "") -> Registry:
        """SIGKILL, if it is still alive, and start again."""
        self.server.kill()
        self.server.failpoints = failpoints
        self.server.start()
        return self.registry

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        if self.database_url:
            address = self.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
            with psycopg.connect(address, autocommit=True) as connection:
                cursor = connection.execute(query)
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.server.data_dir / "registry.db")) as connection:
            found = connection.execute(query).fetchall()
            connection.commit()
            return found

    def objects(self) -> set[str]:
        """Keys of the objects in the store, without the mark that says whose it is."""
        return self.everything() - {MARKER_KEY}

    def everything(self) -> set[str]:
        """Keys of all objects in the store."""
        if self.bucket is None:
            root = self.server.data_dir / "artifacts" / "objects"
            return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        found = self.bucket.client().list_objects(bucket_name=self.bucket.name, recursive=True)
        return {item.object_name for item in found}

    def under_way(self) -> list[str]:
        """Multipart writes and temporary files in the store. Every key was made for a row, so rows lead to all."""
        if self.bucket is None:
            return [path.name for path in (self.server.data_dir / "artifacts" / "uploads").iterdir()]
        client = self.bucket.client()
        found = []
        for (key,) in self.rows("SELECT key FROM upload"):
            # MinIO lists multipart writes by the exact name of the object only.
            listed = client._list_multipart_uploads(bucket_name=self.bucket.name, prefix=key)
            found += [each.upload_id for each in listed.uploads]
        return found

    def known_keys(self) -> set[str]:
        """Keys that a row of a blob, or of an upload that may still need one, accounts for."""
        waiting = "SELECT key FROM upload WHERE state <> 'committed' AND NOT dropped"
        return {key for (key,) in self.rows("SELECT key FROM blob") + self.rows(waiting)}

    def flip(self, key: str, offset: int) -> None:
        """Change one bit of a stored object."""
        self.replace(key, lambda data: data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])

    def replace(self, key: str, change: Any) -> bytes:
        """Put other bytes under a key; returns those that were there."""
        if self.bucket is None:
            path = self.server.data_dir / "artifacts" / "objects" / key
            before = path.read_bytes()
            path.write_bytes(change(before))
            return before
        import io

        client = self.bucket.client()
        reply = client.get_object(bucket_name=self.bucket.name, object_name=key)
        before = reply.read()
        reply.close()
        reply.release_conn()
        after = change(before)
        client.put_object(bucket_name=self.bucket.name, object_name=key, data=io.BytesIO(after), length=len(after))
        return before

    def remove(self, key: str) -> None:
        """Lose an object."""
        if self.bucket is None:
            (self.server.data_dir / "artifacts" / "objects" / key).unlink()
        else:
            self.bucket.client().remove_object(bucket_name=self.bucket.name, object_name=key)

    def epoch(self, upload: str) -> int:
        """How often a writer took the upload of that name over."""
        return dict(self.rows("SELECT id, epoch FROM upload"))[upload.rpartition("/")[2]]

    def forget_seals(self) -> None:
        """End the time for which a completion that was killed keeps other writers waiting, 5 s else."""
        self.rows("UPDATE upload SET sealed_until = 0 WHERE state = 'finalizing'")

    def all_uploads_are_over(self) -> bool:
        """Whether every upload is past its time. The times are the database's, in microseconds, so it is asked."""
        if self.database_url:
            query = "SELECT max(expire_time) < extract(epoch FROM clock_timestamp()) * 1000000 FROM upload"
        else:
            query = "SELECT max(expire_time) < (julianday('now') - 2440587.5) * 86400000000 FROM upload"
        return bool(self.rows(query)[0][0])

    def depose_the_dead(self) -> None:
        """End the lease of a leader that was killed, which otherwise lasts half a minute."""
        self.rows("DELETE FROM lease")


@contextlib.contextmanager
def world(kind: str, environment: Mapping[str, str], failpoints: str = "", **settings: str) -> Iterator[World]:
    """A server of that kind on an empty database and an empty store, into which nobody writes but the test."""
    settings = {"audit_checkpoints": "false"} | settings
    with contextlib.ExitStack() as stack:
        if kind == EMBEDDED:
            place = World(stack.enter_context(running(settings, failpoints)))
            # Elsewhere than in its directory the store may be that of another.
            yield place if "artifact_store" in settings else _marked(place)
            return
        url = stack.enter_context(engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]))
        keys = (environment[f"MREG_TEST_MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
        bucket = stack.enter_context(engines.fresh_bucket(*keys))
        server = stack.enter_context(running(distributed(url, bucket) | settings, failpoints))
        yield _marked(World(server, bucket, url))


def _marked(place: World) -> World:
    """With its mark in the store: a server that is killed while it puts that leaves a part of it behind."""
    if not place.server.failpoints:
        until(lambda: MARKER_KEY in place.everything(), 30)
    return place


def rehash(registry: Registry, version: str) -> int:
    """Read every byte of a READY version and hash it; returns the number of files."""
    found = registry.api.models.GetVersion(versions_pb2.GetVersionRequest(name=version))
    assert found.state == READY
    request = pb.ListArtifactsRequest(parent=version, page_size=1000)
    files = registry.api.artifacts.ListArtifacts(request).artifacts
    for file in files:
        content = registry.read(file.name)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.digest.size_bytes, file.digest.sha256)
    return len(files)


def rehash_everything(registry: Registry) -> int:
    """Read and hash the files of every READY version of the default project; returns their number."""
    models = registry.api.models.ListModels(models_pb2.ListModelsRequest(parent="projects/default", page_size=1000))
    count = 0
    for model in models.models:
        request = versions_pb2.ListVersionsRequest(parent=model.name, page_size=1000)
        versions = registry.api.models.ListVersions(request).versions
        count += sum(rehash(registry, version.name) for version in versions if version.state == READY)
    return count
