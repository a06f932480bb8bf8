"""Real PostgreSQL and MinIO for tests.

The shared pair of the clone serves most tests; a test that kills or restarts an engine takes its
own from `private_postgres` or `private_minio`. An engine that cannot start is a failure, never a
skip: a green run means that the engines were there.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import minio
import psycopg
from minio.deleteobjects import DeleteObject
from psycopg import sql

from tests.kit import canaries

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from _services import MinioServer, PostgresServer, SharedServices, places, tools  # noqa: E402 -- needs the path above

__all__ = [
    "Bucket",
    "MinioServer",
    "PostgresServer",
    "fresh_bucket",
    "fresh_database",
    "private_minio",
    "private_postgres",
    "service_environment",
    "tools",
]


@dataclass(frozen=True)
class Bucket:
    """An empty bucket and the keys that own it; `endpoint` is `host:port` over plain HTTP."""

    endpoint: str
    access_key: str
    secret_key: str
    name: str

    def client(self) -> minio.Minio:
        """Return a client of the bucket's server."""
        return minio.Minio(
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
        )


def service_environment() -> dict[str, str]:
    """Return the MREG_TEST_… variables, from the environment when all are set there.

    Otherwise starts the clone's engines, which stay up for the next run.
    """
    services = SharedServices()
    given = {name: value for name, value in os.environ.items() if name.startswith("MREG_TEST_")}
    if {"MREG_TEST_POSTGRES_URL", "MREG_TEST_MINIO_ENDPOINT"} <= given.keys():
        return given
    services.start()
    return services.environment()


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Yield the SQLAlchemy address of a new, empty database of that server, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        address = server_url.replace("postgresql://", "postgresql+psycopg://", 1)
        yield f"{address.rpartition('/')[0]}/{name}"
        canaries.require_none_in_database(f"{server_url.rpartition('/')[0]}/{name}")
    finally:
        # FORCE, because a test that failed may have left connections behind.
        _execute(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def fresh_bucket(endpoint: str, access_key: str, secret_key: str) -> Iterator[Bucket]:
    """Yield a new, empty bucket; it is emptied and removed afterwards."""
    bucket = Bucket(endpoint, access_key, secret_key, f"test-{uuid.uuid4().hex}")
    client = bucket.client()
    client.make_bucket(bucket_name=bucket.name)
    try:
        yield bucket
    finally:
        found = client.list_objects(bucket_name=bucket.name, recursive=True)
        leftovers = [DeleteObject(item.object_name) for item in found]
        for fault in client.remove_objects(bucket_name=bucket.name, delete_object_list=leftovers):
            raise RuntimeError(fault)
        client.remove_bucket(bucket_name=bucket.name)


@contextlib.contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """Yield a running PostgreSQL that the test may kill and start again."""
    with (
        private_directory() as directory,
        _stopped(PostgresServer(directory / "postgres", places.free_port())) as server,
    ):
        yield server


@contextlib.contextmanager
def private_minio() -> Iterator[MinioServer]:
    """Yield a running MinIO that the test may kill and start again."""
    with (
        private_directory() as directory,
        _stopped(MinioServer(directory / "minio", places.free_port())) as server,
    ):
        yield server


@contextlib.contextmanager
def _stopped(server):
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    # Not tmp_path: PostgreSQL runs as another user when we are root, and could not enter it.
    directory = Path(tempfile.mkdtemp(prefix="private-", dir=places.engines_directory()))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _execute(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)
