"""A registry to demonstrate: a real `mreg serve` process, on either pair of stores, gone afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _demo.page import DemoError

STOP_TIMEOUT_S = 30
LOG_CHARS = 3000
"""How much of a log helps."""
MREG = Path(sys.executable).parent / "mreg"
OWN = ("registrygrpc/", "audit/checkpoints/")
"""Where the registry keeps what is no file of a version: the mark that says whose the store is, and checkpoints."""


@dataclass(frozen=True)
class StoredObject:
    """One object of the artifact store, by the key the server made for it."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Deployment:
    """A running registry. Nothing here is told to the story but how to connect."""

    endpoint: str
    token_file: Path
    metadata_place: str
    bytes_place: str
    directory: Path | None = None
    """Where the embedded artifact store keeps objects; None with a bucket."""
    bucket: tuple[Any, str] = (None, "")
    """A MinIO client and the bucket's name."""

    def objects(self) -> list[StoredObject]:
        """What lies in the artifact store, read past the registry; without what is no file of a version."""
        return [
            StoredObject(key, len(content), hashlib.sha256(content).hexdigest())
            for key, content in self._contents()
            if not key.startswith(OWN)
        ]

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        if self.directory is not None:
            for path in sorted(self.directory.rglob("*")):
                if path.is_file():
                    yield str(path.relative_to(self.directory)), path.read_bytes()
            return
        client, name = self.bucket
        for found in client.list_objects(bucket_name=name, recursive=True):
            with client.get_object(bucket_name=name, object_name=found.object_name) as answer:
                yield found.object_name, answer.read()


@contextlib.contextmanager
def deployed(store: str, work: Path) -> Iterator[Deployment]:
    """A registry on `store` (embedded or minio) with its data below `work`.

    Raises: DemoError with the end of its log when it does not start, or does not stop cleanly.
    """
    with contextlib.ExitStack() as stack:
        if store == "embedded":
            settings: dict[str, str] = {}
        else:
            settings = stack.enter_context(_postgres_and_minio())
            _mreg("db", "upgrade", settings=settings)
        data_dir = work / "data"
        ready = stack.enter_context(_serving(data_dir, settings))
        yield _described(store, ready, data_dir, settings)


def _described(store: str, ready: Mapping[str, Any], data_dir: Path, settings: Mapping[str, str]) -> Deployment:
    endpoint, token_file = f"127.0.0.1:{ready['ports'][0]}", Path(ready["token_file"])
    if store == "embedded":
        return Deployment(
            endpoint=endpoint,
            token_file=token_file,
            metadata_place="SQLite, in the file registry.db of the data directory",
            bytes_place="the directory artifacts/objects of the data directory",
            directory=data_dir / "artifacts/objects",
        )
    name = settings["s3_bucket"]
    return Deployment(
        endpoint=endpoint,
        token_file=token_file,
        metadata_place=f"PostgreSQL, in the database {settings['database_url'].rpartition('/')[2]}",
        bytes_place=f"the MinIO bucket {name}",
        bucket=(_minio(settings), name),
    )


@contextlib.contextmanager
def _serving(data_dir: Path, settings: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """What a new `mreg serve` says when it takes calls: its ports and where the admin token is."""
    data_dir.mkdir(mode=0o700)
    log = data_dir / "server.log"
    given = {"data_dir": str(data_dir), "listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", **settings}
    with log.open("w") as stream:
        process = subprocess.Popen(
            [MREG, "serve"], env=_environment(given), stdout=subprocess.PIPE, stderr=stream, text=True
        )
    try:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        line = process.stdout.readline()
        if not line:
            raise DemoError(f"mreg serve ended with {process.wait()}:\n{_tail(log)}")
        try:
            yield json.loads(line)
        except Exception:
            print(f"\nThe end of the server's log:\n{_tail(log)}", file=sys.stderr)
            raise
        process.send_signal(signal.SIGTERM)
        if code := process.wait(STOP_TIMEOUT_S):
            raise DemoError(f"mreg serve was asked to stop and exited with {code}:\n{_tail(log)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _tail(log: Path) -> str:
    return log.read_text()[-LOG_CHARS:]


def _mreg(*arguments: str, settings: Mapping[str, str]) -> None:
    done = subprocess.run([MREG, *arguments], env=_environment(settings), capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"mreg {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This environment without settings of the reader's own registry, and with ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return clean | {f"MREG_{name.upper()}": value for name, value in settings.items()}


@contextlib.contextmanager
def _postgres_and_minio() -> Iterator[dict[str, str]]:
    """Settings for a database and a bucket of the demo's own, dropped afterwards."""
    import psycopg
    from minio.deleteobjects import DeleteObject
    from psycopg import sql

    from _services import EngineError, SharedServices

    services = SharedServices()
    try:
        services.start()
    except EngineError as fault:
        raise DemoError(f"PostgreSQL or MinIO did not start: {fault}") from fault
    name = f"demo_{uuid.uuid4().hex[:12]}"
    server = services.postgres.url
    settings = {
        "database_url": f"{server.replace('postgresql://', 'postgresql+psycopg://', 1).rpartition('/')[0]}/{name}",
        "artifact_store": "s3",
        "s3_endpoint": services.minio.endpoint,
        "s3_access_key": services.minio.access_key,
        "s3_secret_key": services.minio.secret_key,
        "s3_bucket": name.replace("_", "-"),
        "s3_secure": "false",
    }
    client, bucket = _minio(settings), settings["s3_bucket"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            client.make_bucket(bucket_name=bucket)
            yield settings
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            if client.bucket_exists(bucket_name=bucket):
                found = client.list_objects(bucket_name=bucket, recursive=True)
                leftovers = [DeleteObject(item.object_name) for item in found]
                list(client.remove_objects(bucket_name=bucket, delete_object_list=leftovers))
                client.remove_bucket(bucket_name=bucket)


def _minio(settings: Mapping[str, str]) -> Any:  # noqa: ANN401 -- imported only where there is one
    import minio

    return minio.Minio(
        endpoint=settings["s3_endpoint"],
        access_key=settings["s3_access_key"],
        secret_key=settings["s3_secret_key"],
        secure=False,
    )
