"""File system steps of the local store: private, durable, never through a symbolic link."""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Condition

from registry_grpc.domain.artifacts import Bytes
from registry_grpc.failpoints import failpoint
from registry_grpc.storage.artifacts.faults import storage_full, unavailable

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MAX_VECTORS = 512
"""Below IOV_MAX (1024 on Linux) everywhere."""


@contextlib.contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn an OSError into the registry's error; its text would name paths."""
    try:
        yield
    except OSError as error:
        fault = error.errno
    else:
        return
    if fault in _FULL:
        raise storage_full()
    raise unavailable(f"the artifact directory failed ({os.strerror(fault or errno.EIO)})")


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A file descriptor of `path`, closed on leaving."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make names in `path` survive a power cut."""
    with opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        os.fsync(descriptor)


def make_directories(root: Path, path: Path) -> None:
    """Create `path` below `root`, durably."""
    if path.is_dir():
        return
    if path != root:
        make_directories(root, path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=DIRECTORY_MODE)
    sync_directory(path.parent)


def write_chunks(descriptor: int, chunks: Sequence[Bytes], offset: int) -> None:
    """Write chunks one after another from `offset` on, without copying them together."""
    failpoint("store.file.write")
    # A slice: going over the chunks themselves may take its time, and the work comes later.
    waiting: list[memoryview] = [memoryview(chunk) for chunk in chunks[:] if chunk]
    while waiting:
        batch = waiting[:_MAX_VECTORS]
        written = os.pwritev(descriptor, batch, offset)
        offset += written
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.pop(0))
        if written:
            waiting[0] = waiting[0][written:]


def create_file(path: Path, chunks: Sequence[Bytes]) -> None:
    """Write a new file and sync it; its name is durable once the directory is synced too."""
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        try:
            write_chunks(descriptor, chunks, 0)
            os.fsync(descriptor)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def read_small(path: Path, limit: int) -> bytes | None:
    """The content of a small file; None when there is none."""
    try:
        with opened(path, os.O_RDONLY) as descriptor:
            return os.read(descriptor, limit)
    except FileNotFoundError:
        return None


class WriterGate:
    """Many may write to an upload, or one may close it: a late part must never reach a finished object."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._writers: Counter[str] = Counter()
        self._closing: set[str] = set()

    @contextlib.contextmanager
    def writing(self, upload: str) -> Iterator[None]:
        """Hold while writing a part."""
        with self._changed:
            self._wait(lambda: upload not in self._closing)
            self._writers[upload] += 1
        try:
            yield
        finally:
            with self._changed:
                self._writers[upload] -= 1
                if not self._writers[upload]:
                    del self._writers[upload]
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self, upload: str) -> Iterator[None]:
        """Hold while completing or dropping the upload."""
        with self._changed:
            self._wait(lambda: upload not in self._closing)
            self._closing.add(upload)
            self._wait(lambda: not self._writers[upload])
        try:
            yield
        finally:
            with self._changed:
                self._closing.discard(upload)
                del self._writers[upload]
                self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._changed.wait_for(ready)
