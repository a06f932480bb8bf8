"""Artifact store in a directory of this machine; one process uses it at a time."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Lock

from registry_grpc.domain.artifacts import MIB, Bytes, UploadPart
from registry_grpc.ports.artifacts import Listing, MissingObjectError, ObjectInfo
from registry_grpc.storage.artifacts import local_files as files
from registry_grpc.storage.artifacts import local_listing as listing
from registry_grpc.storage.artifacts.faults import (
    CHUNK_BYTES,
    broken,
    check_key,
    check_metadata,
    check_parts,
    check_size,
    unavailable,
)

_UPLOAD_ID_CHARACTERS = 32
_MAX_SIDECAR_BYTES = 64 * 1024
_LOCKS = 64


class LocalArtifactStore:
    """`objects/<key>` holds the bytes, `metadata/<key>` what was said of them, `uploads/` parts under way.

    An object appears by linking its finished, synced file to its name, which fails if the name is taken.
    Its metadata is written just before, so an object never lacks it.
    """

    def __init__(self, directory: Path, *, min_free_bytes: int = 64 * MIB) -> None:
        """`ping` fails below `min_free_bytes`. Missing directories are made, readable by the owner only."""
        self._root = directory
        self._objects = directory / "objects"
        self._metadata = directory / "metadata"
        self._uploads = directory / "uploads"
        self._min_free_bytes = min_free_bytes
        self._gate = files.WriterGate()
        self._publishing = tuple(Lock() for _ in range(_LOCKS))
        with files.mapped_errors():
            directory.mkdir(mode=files.DIRECTORY_MODE, parents=True, exist_ok=True)
            for part in (self._objects, self._metadata, self._uploads):
                files.make_directories(directory, part)

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin a multipart write of `key`: an empty file, and beside it the key and metadata."""
        check_key(key)
        check_metadata(metadata)
        upload = _name_under_way(key)
        note = json.dumps({"key": key, "metadata": dict(metadata)}).encode()
        with files.mapped_errors():
            files.create_file(self._uploads / f"{upload}.json", [note])
            files.create_file(self._uploads / upload, [])
            files.sync_directory(self._uploads)
        return upload

    def put_part(
        self,
        key: str,
        store_upload: str,
        number: int,
        offset: int,
        chunks: Sequence[Bytes],
        size_bytes: int,
    ) -> str:
        """Write a part at its offset and sync it; the etag says where it lies."""
        check_key(key)
        check_size(chunks, size_bytes)
        path = self._upload_path(store_upload)
        with files.mapped_errors(), self._gate.writing(store_upload):
            if self._note(store_upload, key) is None:
                raise MissingObjectError
            try:
                with files.opened(path, os.O_WRONLY) as descriptor:
                    # A second name means that the object was published and we died before unlinking.
                    if os.fstat(descriptor).st_nlink != 1:
                        raise MissingObjectError
                    files.write_chunks(descriptor, chunks, offset)
                    os.fdatasync(descriptor)
            except FileNotFoundError:
                raise MissingObjectError from None
        return f"{number}-{offset}-{size_bytes}"

    def complete(self, key: str, store_upload: str, parts: Sequence[UploadPart]) -> None:
        """Check the size, sync, and give the file its name."""
        check_key(key)
        size_bytes = check_parts(parts)
        path = self._upload_path(store_upload)
        with files.mapped_errors(), self._gate.alone(store_upload):
            metadata = self._note(store_upload, key)
            if metadata is None or not path.exists():
                self._expect_published(key, size_bytes)
                return
            _check_layout(parts)
            with files.opened(path, os.O_WRONLY) as descriptor:
                state = os.fstat(descriptor)
                if state.st_size < size_bytes:
                    raise broken("parts are missing from the upload")
                # A longer part that was replaced by a shorter one, or is not listed, leaves a tail.
                if state.st_size > size_bytes and state.st_nlink == 1:
                    os.ftruncate(descriptor, size_bytes)
                os.fsync(descriptor)
            self._publish(path, key, size_bytes, metadata)
            self._drop_upload(store_upload)

    def abort(self, key: str, store_upload: str) -> None:
        """Remove the files of a multipart write."""
        check_key(key)
        upload = store_upload.removesuffix(listing.PUT)
        self._upload_path(upload)
        with files.mapped_errors(), self._gate.alone(upload):
            (self._uploads / f"{upload}{listing.PUT}").unlink(missing_ok=True)
            self._drop_upload(upload)

    def sweep(self, key: str) -> None:
        """Remove every file under way for the key."""
        check_key(key)
        with files.mapped_errors():
            for path in self._uploads.glob(f"{_mark(key)}*"):
                with self._gate.alone(path.name.partition(".")[0]):
                    path.unlink(missing_ok=True)

    def put(self, key: str, chunks: Sequence[Bytes], size_bytes: int, metadata: Mapping[str, str]) -> None:
        """Store a whole small object."""
        check_key(key)
        check_metadata(metadata)
        check_size(chunks, size_bytes)
        temporary = self._uploads / f"{_name_under_way(key)}{listing.PUT}"
        with files.mapped_errors():
            try:
                files.create_file(temporary, chunks)
                self._publish(temporary, key, size_bytes, metadata)
            finally:
                temporary.unlink(missing_ok=True)

    def head(self, key: str) -> ObjectInfo | None:
        """Size and metadata of the object."""
        check_key(key)
        with files.mapped_errors():
            try:
                size_bytes = (self._objects / key).lstat().st_size
            except FileNotFoundError:
                return None
            note = files.read_small(self._metadata / key, _MAX_SIDECAR_BYTES)
        return ObjectInfo(size_bytes, json.loads(note) if note else {})

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """The bytes of the range that exist; fewer than asked for when the object ends before."""
        check_key(key)
        with files.mapped_errors():
            try:
                with files.opened(self._objects / key, os.O_RDONLY) as descriptor:
                    while length > 0:
                        chunk = os.pread(descriptor, min(length, CHUNK_BYTES), offset)
                        if not chunk:
                            return
                        offset += len(chunk)
                        length -= len(chunk)
                        yield chunk
            except FileNotFoundError:
                raise MissingObjectError from None

    def delete(self, key: str) -> None:
        """Remove the object, then what was said of it."""
        check_key(key)
        path = self._objects / key
        with files.mapped_errors(), self._lock_of(key):
            path.unlink(missing_ok=True)
            (self._metadata / key).unlink(missing_ok=True)
            if path.parent.is_dir():
                files.sync_directory(path.parent)

    def list_objects(self, after: str, limit: int) -> Listing:
        """Files by their path."""
        with files.mapped_errors():
            return listing.objects(self._objects, after, limit)

    def list_unfinished(self, after: str, limit: int) -> Listing:
        """By the name of the file; what a `put` left says of its key only that no row has it."""
        with files.mapped_errors():
            return listing.unfinished(self._uploads, after, limit)

    def sign_get(self, key: str, ttl: timedelta, filename: str) -> str | None:  # noqa: ARG002 -- the port's signature
        """None: a directory has no URLs."""
        check_key(key)
        return None

    def ping(self) -> None:
        """Check the directories and the free space, writing nothing."""
        with files.mapped_errors():
            for directory in (self._objects, self._metadata, self._uploads):
                if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
                    raise unavailable("the artifact directory is missing or not writable")
            space = os.statvfs(self._objects)
        if space.f_bavail * space.f_frsize < self._min_free_bytes:
            raise unavailable(f"less than {self._min_free_bytes // MIB} MiB free")

    def _upload_path(self, store_upload: str) -> Path:
        is_hex = all(character in "0123456789abcdef" for character in store_upload)
        if len(store_upload) != _UPLOAD_ID_CHARACTERS or not is_hex:
            raise broken("malformed upload id")
        return self._uploads / store_upload

    def _note(self, store_upload: str, key: str) -> dict[str, str] | None:
        note = files.read_small(self._uploads / f"{store_upload}.json", _MAX_SIDECAR_BYTES)
        if note is None:
            return None
        said = json.loads(note)
        if said["key"] != key:
            raise broken("the upload belongs to another key")
        metadata: dict[str, str] = said["metadata"]
        return metadata

    def _lock_of(self, key: str) -> Lock:
        return self._publishing[hashlib.sha256(key.encode()).digest()[0] % _LOCKS]

    def _publish(self, source: Path, key: str, size_bytes: int, metadata: Mapping[str, str]) -> None:
        target, note = self._objects / key, self._metadata / key
        files.make_directories(self._root, target.parent)
        files.make_directories(self._root, note.parent)
        with self._lock_of(key):
            if target.exists():
                self._expect_published(key, size_bytes)
                return
            # Left by a process that died between the two steps: nothing points to it.
            note.unlink(missing_ok=True)
            files.create_file(note, [json.dumps(dict(metadata)).encode()])
            files.sync_directory(note.parent)
            try:
                os.link(source, target, follow_symlinks=False)
            except FileExistsError:
                self._expect_published(key, size_bytes)
                return
            files.sync_directory(target.parent)

    def _expect_published(self, key: str, size_bytes: int) -> None:
        found = self.head(key)
        if found is None:
            raise MissingObjectError
        if found.size_bytes != size_bytes:
            raise broken("an object of another size has this key already")
        # Whoever gave it the name may have died before this.
        files.sync_directory((self._objects / key).parent)

    def _drop_upload(self, store_upload: str) -> None:
        (self._uploads / store_upload).unlink(missing_ok=True)
        (self._uploads / f"{store_upload}.json").unlink(missing_ok=True)
        files.sync_directory(self._uploads)


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[: _UPLOAD_ID_CHARACTERS // 2]


def _name_under_way(key: str) -> str:
    """A new name that tells `sweep` whose it is."""
    return _mark(key) + secrets.token_hex(_UPLOAD_ID_CHARACTERS // 4)


def _check_layout(parts: Sequence[UploadPart]) -> None:
    offset = 0
    for part in parts:
        if part.etag != f"{part.number}-{offset}-{part.size_bytes}":
            raise broken("a part is not the one that was stored")
        offset += part.size_bytes
