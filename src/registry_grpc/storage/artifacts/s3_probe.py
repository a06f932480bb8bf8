"""Finds out which guarantees of S3 a server keeps, by trying each on objects of its own."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from registry_grpc.domain.artifacts import BLOCK_BYTES, UploadPart
from registry_grpc.domain.errors import RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts.s3 import S3ArtifactStore

_NOTE = {"upload-id": "probe"}


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One guarantee, and whether the server kept it when tried."""

    name: str
    kept: bool
    description: str


def probe(store: S3ArtifactStore) -> tuple[Guarantee, ...]:
    """Try every guarantee the registry leans on; takes about a second and leaves nothing behind.

    Raises: STORAGE_UNAVAILABLE when the store cannot be used at all.
    """
    store.ping()
    return tuple(Guarantee(name, _holds(store, trial), description) for name, description, trial in _TRIALS)


def _holds(store: S3ArtifactStore, trial: Callable[[S3ArtifactStore, str], bool]) -> bool:
    key = f"probe/{secrets.token_hex(16)}"
    try:
        return trial(store, key)
    except (RegistryError, MissingObjectError):
        return False
    finally:
        store.delete(key)


def _conditional_put(store: S3ArtifactStore, key: str) -> bool:
    store.put(key, [b"first"], 5, _NOTE)
    return _is_refused(lambda: store.put(key, [b"second"], 6, _NOTE)) and _size(store, key) == 5  # noqa: PLR2004


def _conditional_complete(store: S3ArtifactStore, key: str) -> bool:
    store.put(key, [b"first"], 5, _NOTE)
    upload, part = _upload(store, key, b"second")
    try:
        return _is_refused(lambda: store.complete(key, upload, [part])) and _size(store, key) == 5  # noqa: PLR2004
    finally:
        store.abort(key, upload)


def _double_complete(store: S3ArtifactStore, key: str) -> bool:
    upload, part = _upload(store, key, b"data")
    store.complete(key, upload, [part])
    store.complete(key, upload, [part])
    return _size(store, key) == part.size_bytes


def _metadata(store: S3ArtifactStore, key: str) -> bool:
    upload, part = _upload(store, key, b"data")
    store.complete(key, upload, [part])
    found = store.head(key)
    return found is not None and dict(found.metadata) == _NOTE


def _part_replaced(store: S3ArtifactStore, key: str) -> bool:
    upload, _ = _upload(store, key, b"wrong and longer")
    etag = store.put_part(key, upload, 1, 0, [b"right"], 5)
    part = UploadPart(number=1, size_bytes=5, etag=etag, block_digests=b"")
    store.complete(key, upload, [part])
    return b"".join(store.read(key, 0, 100)) == b"right"


def _ranges(store: S3ArtifactStore, key: str) -> bool:
    store.put(key, [b"0123456789"], 10, _NOTE)
    return b"".join(store.read(key, 3, 4)) == b"3456" and not list(store.read(key, BLOCK_BYTES, 1))


_TRIALS = (
    ("conditional-put", "a PUT never replaces an object", _conditional_put),
    ("conditional-complete", "completing an upload never replaces an object", _conditional_complete),
    ("double-complete", "completing twice is recognised as done", _double_complete),
    ("metadata", "what was said of an object at its start is kept", _metadata),
    ("part-replaced", "a part sent again replaces the earlier one", _part_replaced),
    ("ranges", "a range gives exactly its bytes", _ranges),
)


def _upload(store: S3ArtifactStore, key: str, data: bytes) -> tuple[str, UploadPart]:
    upload = store.begin(key, _NOTE)
    etag = store.put_part(key, upload, 1, 0, [data], len(data))
    return upload, UploadPart(number=1, size_bytes=len(data), etag=etag, block_digests=b"")


def _size(store: S3ArtifactStore, key: str) -> int | None:
    found = store.head(key)
    return found.size_bytes if found else None


def _is_refused(call: Callable[[], None]) -> bool:
    try:
        call()
    except RegistryError:
        return True
    return False
