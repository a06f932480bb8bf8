"""One suite for every artifact store: `open_store` opens the same place again, as a restart does."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from registry_grpc.domain.artifacts import UploadPart
from registry_grpc.ports.artifacts import ArtifactStore
from registry_grpc.storage.artifacts.local import LocalArtifactStore
from registry_grpc.storage.artifacts.s3 import S3ArtifactStore
from tests.memory.artifacts import MemoryArtifactStore


@dataclass
class Place:
    """Where a store keeps its objects; `damage` overwrites an object behind the store's back."""

    kind: str
    open: Callable[[], ArtifactStore]
    damage: Callable[[str, bytes], None]


def s3_store(bucket: Any, **options: Any) -> S3ArtifactStore:
    return S3ArtifactStore(
        bucket.endpoint,
        bucket.access_key,
        bucket.secret_key,
        bucket.name,
        **{"secure": False, "region": "us-east-1", "prefix": "blobs/", **options},
    )


@pytest.fixture(params=["memory", "local", "s3"])
def place(request, tmp_path) -> Place:
    if request.param == "memory":
        return _memory()
    if request.param == "local":
        directory = tmp_path / "artifacts"
        return Place(
            "local",
            lambda: LocalArtifactStore(directory),
            lambda key, data: (directory / "objects" / key).write_bytes(data) and None,
        )
    return _s3(request.getfixturevalue("minio_bucket"))


def _memory() -> Place:
    store = MemoryArtifactStore()

    def damage(key: str, data: bytes) -> None:
        store.objects[key] = (data, {})

    return Place("memory", lambda: store, damage)


def _s3(bucket: Any) -> Place:
    def damage(key: str, data: bytes) -> None:
        import io

        bucket.client().put_object(
            bucket_name=bucket.name,
            object_name=f"blobs/{key}",
            data=io.BytesIO(data),
            length=len(data),
        )

    return Place("s3", lambda: s3_store(bucket), damage)


@pytest.fixture
def store(place) -> ArtifactStore:
    return place.open()


@pytest.fixture
def key() -> str:
    return f"ab/{secrets.token_hex(16)}"


def send(store: ArtifactStore, key: str, upload: str, *datas: bytes) -> list[UploadPart]:
    """Store each of `datas` as a part, in two chunks."""
    parts, offset = [], 0
    for number, data in enumerate(datas, 1):
        half = len(data) // 2
        etag = store.put_part(key, upload, number, offset, [data[:half], data[half:]], len(data))
        parts.append(UploadPart(number=number, size_bytes=len(data), etag=etag, block_digests=b""))
        offset += len(data)
    return parts


def whole(store: ArtifactStore, key: str) -> bytes:
    found = store.head(key)
    assert found is not None
    return b"".join(store.read(key, 0, found.size_bytes))
