"""An artifact store in memory, for tests of everything above it. Passes the contract suite."""

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from registry_grpc.domain.artifacts import UploadPart
from registry_grpc.ports.artifacts import Listing, MissingObjectError, ObjectInfo, Stored
from registry_grpc.storage.artifacts.faults import (
    CHUNK_BYTES,
    broken,
    check_key,
    check_metadata,
    check_parts,
    check_size,
    unavailable,
)


@dataclass
class _Multipart:
    key: str
    metadata: dict[str, str]
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class MemoryArtifactStore:
    """Keeps objects in `objects`, which tests may damage; `is_down` makes every call fail."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, _Multipart] = {}
        self.is_down = False
        self._lock = threading.RLock()
        self._serial = itertools.count(1)

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        self._check(key)
        check_metadata(metadata)
        upload = f"upload{next(self._serial)}"
        self.uploads[upload] = _Multipart(key, dict(metadata))
        return upload

    def put_part(
        self,
        key: str,
        store_upload: str,
        number: int,
        offset: int,  # noqa: ARG002 -- parts are joined by number
        chunks: Sequence[bytes],
        size_bytes: int,
    ) -> str:
        self._check(key)
        check_size(chunks, size_bytes)
        etag = f"etag{next(self._serial)}"
        with self._lock:
            self._upload(key, store_upload).parts[number] = (etag, b"".join(chunks))
        return etag

    def complete(self, key: str, store_upload: str, parts: Sequence[UploadPart]) -> None:
        self._check(key)
        size_bytes = check_parts(parts)
        with self._lock:
            if store_upload not in self.uploads:
                self._expect(key, size_bytes)
                return
            upload = self._upload(key, store_upload)
            stored = [upload.parts.get(part.number, ("", b"")) for part in parts]
            if [etag for etag, _ in stored] != [part.etag for part in parts]:
                raise broken("a part is not the one that was stored")
            data = b"".join(data for _, data in stored)
            if len(data) != size_bytes:
                raise broken("the parts have another size")
            self._publish(key, data, upload.metadata)
            del self.uploads[store_upload]

    def abort(self, key: str, store_upload: str) -> None:
        self._check(key)
        self.uploads.pop(store_upload, None)

    def sweep(self, key: str) -> None:
        self._check(key)
        for name in [name for name, upload in self.uploads.items() if upload.key == key]:
            self.uploads.pop(name, None)

    def put(self, key: str, chunks: Sequence[bytes], size_bytes: int, metadata: Mapping[str, str]) -> None:
        self._check(key)
        check_metadata(metadata)
        check_size(chunks, size_bytes)
        self._publish(key, b"".join(chunks), dict(metadata))

    def head(self, key: str) -> ObjectInfo | None:
        self._check(key)
        found = self.objects.get(key)
        return ObjectInfo(len(found[0]), found[1]) if found else None

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        self._check(key)
        if key not in self.objects:
            raise MissingObjectError
        data = self.objects[key][0][offset : offset + length]
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    def delete(self, key: str) -> None:
        self._check(key)
        self.objects.pop(key, None)

    def list_objects(self, after: str, limit: int) -> Listing:
        self._check("list")
        keys = sorted(key for key in self.objects if key > after)[:limit]
        found = [Stored(key, len(self.objects[key][0]), timedelta(0)) for key in keys]
        return Listing(found, keys[-1] if len(keys) == limit else "")

    def list_unfinished(self, after: str, limit: int) -> Listing:
        self._check("list")
        names = sorted(name for name in self.uploads if name > after)[:limit]
        found = [Stored(self.uploads[name].key, 0, timedelta(0), name) for name in names]
        return Listing(found, names[-1] if len(names) == limit else "")

    def sign_get(self, key: str, ttl: timedelta, filename: str) -> str | None:  # noqa: ARG002 -- the port
        check_key(key)
        return None

    def ping(self) -> None:
        self._check("ping")

    def _check(self, key: str) -> None:
        check_key(key)
        if self.is_down:
            raise unavailable("it was taken down by a test")

    def _upload(self, key: str, store_upload: str) -> _Multipart:
        if store_upload not in self.uploads:
            raise MissingObjectError
        upload = self.uploads[store_upload]
        if upload.key != key:
            raise broken("the upload belongs to another key")
        return upload

    def _publish(self, key: str, data: bytes, metadata: dict[str, str]) -> None:
        with self._lock:
            if key in self.objects:
                self._expect(key, len(data))
            else:
                self.objects[key] = (data, metadata)

    def _expect(self, key: str, size_bytes: int) -> None:
        found = self.head(key)
        if found is None:
            raise MissingObjectError
        if found.size_bytes != size_bytes:
            raise broken("an object of another size has this key already")
