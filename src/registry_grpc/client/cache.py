"""The local cache: bytes by digest, versions by manifest digest, one writer at a time across processes.

blobs/sha256/ab/abcd…   verified bytes, read-only
partial/abcd…           bytes of a download that was cut; only touched under the lock of the digest
versions/0123…/         a whole version, hard links into blobs
locks/…                 flock files; never removed, so that two processes never lock two different files
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry_grpc.client.errors import FailedPrecondition, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry_grpc.client.manifest import FileDigest

READ_BYTES = 1 << 20


class Cache:
    """A cache directory of this user. Concurrency: any number of threads and processes on one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def prepare(self) -> None:
        """Make the directory, for nobody but this user.

        Raises: FailedPrecondition when others may write to it.
        """
        for name in ("", "blobs/sha256", "partial", "versions", "locks"):
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = self.root.stat()
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise FailedPrecondition(
                f"the cache {self.root} ({stat.filemode(facts.st_mode)}) can be written by others; "
                "chmod 700 it or choose another with MREG_CACHE_DIR"
            )

    def blob_path(self, sha256: str) -> Path:
        """Where the bytes with this SHA-256 are, or would be."""
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256

    def version_path(self, manifest_digest: str) -> Path:
        """Where the version with this manifest digest is, or would be."""
        return self.root / "versions" / manifest_digest.removeprefix("sha256:")

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock `name` against every thread and process; waits for it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.root / "locks" / name, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def has(self, file: FileDigest, *, verify: bool) -> bool:
        """Whether the bytes are here; with `verify` they are hashed again, and thrown away when they are wrong."""
        path = self.blob_path(file.sha256)
        if not is_file_of(path, file, verify=verify):
            path.unlink(missing_ok=True)
            return False
        return True

    def fetch(self, file: FileDigest, read: Callable[[int], Iterator[bytes]], *, verify: bool) -> bool:
        """Make sure the bytes are here; `read(offset)` gives them from there. False when nothing had to be read.

        Raises: IntegrityError when what is read is not what was wanted; nothing is kept then.
        """
        with self.lock(file.sha256):
            if self.has(file, verify=verify):
                return False
            resumed = self._receive(file, read)
            if resumed:
                # What an earlier run left may be the damaged part: once more from the first byte.
                self._receive(file, read)
            return True

    def _receive(self, file: FileDigest, read: Callable[[int], Iterator[bytes]]) -> bool:
        """Write, check, move in. True when a resumed download came out wrong and was dropped."""
        partial = self.root / "partial" / file.sha256
        handle = _open_partial(partial)
        with os.fdopen(handle, "r+b") as stream:
            digest = hashlib.sha256()
            start = 0
            while block := stream.read(READ_BYTES):
                digest.update(block)
                start += len(block)
            if start > file.size_bytes:
                stream.seek(0)
                stream.truncate()
                digest, start = hashlib.sha256(), 0
            for content in read(start):
                stream.write(content)
                digest.update(content)
            stream.flush()
            os.fsync(stream.fileno())
            if digest.hexdigest() != file.sha256 or os.fstat(stream.fileno()).st_size != file.size_bytes:
                partial.unlink()
                if start:
                    return True
                raise IntegrityError(
                    f"the bytes of {file.path} hash to {digest.hexdigest()}, not {file.sha256}; nothing was kept",
                    reason="DIGEST_MISMATCH",
                    metadata={"expected": file.sha256, "actual": digest.hexdigest()},
                )
            os.fchmod(stream.fileno(), 0o444)
        target = self.blob_path(file.sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        partial.rename(target)
        sync_directory(target.parent)
        return False

    @contextmanager
    def scratch(self, beside: Path) -> Iterator[Path]:
        """An empty directory in the directory of `beside`, removed afterwards unless it was renamed."""
        made = Path(tempfile.mkdtemp(prefix=f".{beside.name[:40]}.", dir=beside.parent))
        try:
            yield made
        finally:
            if made.exists():
                remove_tree(made)


def is_file_of(path: Path, file: FileDigest, *, verify: bool) -> bool:
    """Whether `path` is a regular file with these bytes; without `verify` only its size counts."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != file.size_bytes:
            return False
        return not verify or hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _open_partial(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    handle = os.open(path, flags)
    facts = os.fstat(handle)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and facts.st_uid == os.geteuid():
        return handle
    os.close(handle)
    path.unlink()
    return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(path: Path) -> None:
    """Remove a directory of ours and all in it."""
    shutil.rmtree(path)
