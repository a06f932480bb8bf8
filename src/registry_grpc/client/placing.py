"""Putting a version into a directory that is there already: a volume's mount point, which nothing can be renamed over.

While it is under way `.mreg` in the directory says so, and what is there may be replaced; a run that was killed is thus
finished by the next one. Each file appears whole; the version is whole when `.mreg` is gone.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from registry_grpc.client.cache import READ_BYTES, is_file_of, remove_tree, sync_directory
from registry_grpc.client.errors import FailedPrecondition, IntegrityError
from registry_grpc.client.pull import holds_exactly

if TYPE_CHECKING:
    from pathlib import Path

    from registry_grpc.client.manifest import FileDigest

WORK = ".mreg"
OF_THE_VOLUME = frozenset({"lost+found"})
"""What a new file system may bring along."""
FILE_MODE, DIRECTORY_MODE = 0o444, 0o755
"""The server of the model often runs as another user than the one who fetched it."""


def is_placed(dest: Path, files: list[FileDigest]) -> bool:
    """Whether `dest` holds exactly these files; every byte is hashed.

    Raises: FailedPrecondition when it holds anything else that is not of an unfinished run.
    """
    if not dest.exists() or (dest / WORK).is_dir():
        return False
    if not dest.is_dir():
        raise FailedPrecondition(f"{dest} is no directory; give the directory that is to hold the version")
    found = sorted({path.name for path in dest.iterdir()} - OF_THE_VOLUME)
    if not found or holds_exactly(dest, files, verify=True):
        return bool(found)
    raise FailedPrecondition(
        f"{dest} holds something else than this version, {found[0]!r} for one; give an empty directory"
    )


def begin(dest: Path) -> None:
    """Make `dest`, and the directory in it to work in, which is for nobody else."""
    dest.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    (dest / WORK).mkdir(mode=0o700, exist_ok=True)


def place(source: Path, dest: Path, files: list[FileDigest], *, link: bool) -> None:
    """Bring the files of `source` to `dest`, which `begin` made ready.

    With `link` they become links to what `source` has: only for a source that goes away afterwards. A copy is hashed.

    Raises: IntegrityError when `source` changes meanwhile.
    """
    _clear(dest, {file.path for file in files})
    for file in files:
        target = dest / file.path
        if is_file_of(target, file, verify=True):
            continue
        target.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        made = dest / WORK / "placed"
        made.unlink(missing_ok=True)
        if link:
            made.hardlink_to(source / file.path)
        else:
            _copy(source / file.path, made, file)
        made.rename(target)
    for directory in {(dest / file.path).parent for file in files}:
        sync_directory(directory)
    remove_tree(dest / WORK)
    sync_directory(dest)


def _clear(dest: Path, wanted: set[str]) -> None:
    """Remove what an unfinished run left that is not of this version, and links, which could lead elsewhere."""
    for path in sorted(dest.rglob("*"), reverse=True):
        name = path.relative_to(dest)
        if name.parts[0] in {WORK, *OF_THE_VOLUME} or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or name.as_posix() not in wanted:
            path.unlink()


def _copy(source: Path, made: Path, file: FileDigest) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, made.open("xb") as writer:
        while block := reader.read(READ_BYTES):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
        os.fchmod(writer.fileno(), FILE_MODE)
    if digest.hexdigest() != file.sha256:
        raise IntegrityError(
            f"the bytes of {file.path} hash to {digest.hexdigest()}, not {file.sha256}; the cache changed meanwhile",
            reason="DIGEST_MISMATCH",
            metadata={"expected": file.sha256, "actual": digest.hexdigest()},
        )
