"""The local files of a push: found, checked, hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from registry_grpc.client.errors import IntegrityError, InvalidArgument
from registry_grpc.client.manifest import FileDigest, check_local
from registry_grpc.client.progress import Phase, Progress

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from registry_grpc.client.progress import Report

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this disk and where it goes; `size_bytes` and `mtime_ns` tell when somebody writes to it."""

    path: str
    source: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A local file and what its bytes are."""

    local: LocalFile
    digest: FileDigest


def collect(
    paths: str | Path | Iterable[str | Path], beside: Mapping[str, Path] = MappingProxyType({})
) -> list[LocalFile]:
    """The files to push, by path. A single directory gives its content; of several paths a directory keeps its name.

    `beside` are more files, by the path they are to have.

    `.git` is left out. Links to files inside the directory are followed; every other link is refused, as is anything
    that is no file.

    Raises: InvalidArgument.
    """
    one = isinstance(paths, (str, Path))
    roots = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    found: list[LocalFile] = []
    for root in roots:
        if root.is_dir():
            prefix = "" if one else root.resolve().name + "/"
            found += [_local(prefix + source.relative_to(root).as_posix(), source) for source in _walk(root)]
        elif root.exists():
            found.append(_local(root.name, root))
        else:
            raise InvalidArgument(f"{root} does not exist; give a file or a directory to push")
    if not found:
        raise InvalidArgument(f"{', '.join(map(str, roots)) or 'nothing'} has no file to push")
    found += [_local(path, source) for path, source in beside.items()]
    seen: set[str] = set()
    for file in found:
        if file.path in seen:
            raise InvalidArgument(f"two files would be {file.path!r} in the version; push the directory above them")
        seen.add(file.path)
    check_local(file.path for file in found)
    return sorted(found, key=lambda file: file.path.encode())


def _walk(root: Path) -> Iterator[Path]:
    inside = root.resolve()
    for directory, names, files in os.walk(root, onerror=_unreadable):
        names[:] = sorted(name for name in names if name.lower() != ".git")
        for name in [*names, *files]:
            source = Path(directory, name)
            if not source.is_symlink():
                continue
            if not source.exists():
                raise InvalidArgument(f"{source} is a link to nothing; remove it and push again")
            if source.is_dir() or not source.resolve().is_relative_to(inside):
                what = "a directory" if source.is_dir() else f"a file outside {root}"
                raise InvalidArgument(f"{source} is a link to {what}; replace it by a copy (cp -rL) and push again")
        yield from (Path(directory, name) for name in sorted(files) if name.lower() != ".git")


def _unreadable(error: OSError) -> None:
    raise InvalidArgument(f"{error.filename} cannot be read: {error.strerror}") from error


def _local(path: str, source: Path) -> LocalFile:
    facts = source.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise InvalidArgument(f"{source} is no regular file; only files can be pushed")
    return LocalFile(path, source, facts.st_size, facts.st_mtime_ns)


@contextlib.contextmanager
def local_file(path: str, source: str | Path | BinaryIO) -> Iterator[LocalFile]:
    """A file to be sent as `path`. A stream is copied to a temporary file, which is removed afterwards.

    Raises: InvalidArgument.
    """
    check_local([path])
    if isinstance(source, (str, Path)):
        if not Path(source).exists():
            raise InvalidArgument(f"{source} does not exist; give a file to send")
        yield _local(path, Path(source))
        return
    with tempfile.TemporaryDirectory(prefix="mreg-upload-") as directory:
        spooled = Path(directory) / "stream"
        with spooled.open("wb") as file:
            shutil.copyfileobj(source, file, READ_BYTES)
        yield _local(path, spooled)


def hash_files(files: Sequence[LocalFile], parallel: int, stop: threading.Event, report: Report) -> list[HashedFile]:
    """The files with their digests, in the same order; each is read once, `parallel` at a time.

    Raises: IntegrityError when one changes meanwhile, InvalidArgument when one cannot be read.
    """
    with ThreadPoolExecutor(parallel, "mreg-hash") as pool:
        try:
            return list(pool.map(lambda file: _hash(file, stop, report), files))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _hash(file: LocalFile, stop: threading.Event, report: Report) -> HashedFile:
    digest = hashlib.sha256()
    done = 0
    try:
        with file.source.open("rb") as stream:
            while not stop.is_set() and (block := stream.read(READ_BYTES)):
                digest.update(block)
                done += len(block)
                report(Progress(Phase.HASH, file.path, done, file.size_bytes))
            require_unchanged(file, os.fstat(stream.fileno()))
    except OSError as error:
        raise InvalidArgument(f"{file.source} cannot be read: {error.strerror}") from error
    return HashedFile(file, FileDigest(file.path, digest.hexdigest(), file.size_bytes))


def require_unchanged(file: LocalFile, facts: os.stat_result) -> None:
    """Refuse to go on with a file somebody writes to.

    Raises: IntegrityError.
    """
    if (facts.st_size, facts.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
        raise changed(file)


def changed(file: LocalFile) -> IntegrityError:
    """The error for a file that is not what it was when the push began."""
    return IntegrityError(
        f"{file.source} changed while it was pushed; wait until nothing writes to it and push again",
        reason="DIGEST_MISMATCH",
        metadata={"path": file.path},
    )
