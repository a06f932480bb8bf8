"""Pulling a version: fetch what the cache lacks, check everything, appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry_grpc.client.cache import is_file_of, remove_tree, sync_directory
from registry_grpc.client.download import read_chunks
from registry_grpc.client.errors import FailedPrecondition, IntegrityError
from registry_grpc.client.manifest import FileDigest, check_served, manifest_digest
from registry_grpc.client.progress import Phase, Progress
from registry_grpc.client.retries import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.client.cache import Cache
    from registry_grpc.client.connection import Connection
    from registry_grpc.client.progress import Report
    from registry_grpc.client.registry import Registry
    from registry_grpc.v1 import artifacts_pb2, stages_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One pull of a resolved version into the cache, and from there to a directory."""

    registry: Registry
    connection: Connection
    cache: Cache
    verify: bool
    parallel: int
    report: Report
    stop: threading.Event

    def run(self, answer: stages_pb2.ResolveResponse, dest: Path | None) -> Path:
        """The directory with the files. Raises: RegistryError; IntegrityError when anything is not what was pinned."""
        self.cache.prepare()
        artifacts = self._list(answer)
        files = [FileDigest(a.path, a.digest.sha256, a.digest.size_bytes) for a in artifacts]
        if dest is not None and self._is_done(dest, files):
            return dest
        target = self.cache.version_path(answer.manifest_digest)
        with self.cache.lock(f"version-{target.name}"):
            if not (target.is_dir() and holds_exactly(target, files, verify=self.verify)):
                self._fetch(dict(zip([file.sha256 for file in files], artifacts, strict=True)))
                self._assemble(target, files)
            else:
                for file in files:
                    self.report(Progress(Phase.CACHED, file.path, file.size_bytes, file.size_bytes))
            if dest is None:
                return target
            self._copy(target, dest, files)
        return dest

    def _list(self, answer: stages_pb2.ResolveResponse) -> list[artifacts_pb2.Artifact]:
        listed = list(answer.artifacts)
        if len(listed) != answer.file_count:
            listed = list(self.registry.list_artifacts(answer.version))
        files = [FileDigest(a.path, a.digest.sha256, a.digest.size_bytes) for a in listed]
        check_served(files)
        found = manifest_digest(files)
        if found != answer.manifest_digest:
            raise IntegrityError(
                f"the files of {answer.version} give manifest digest {found}, not {answer.manifest_digest}; "
                "nothing was written; tell whoever runs the registry",
                reason="DIGEST_MISMATCH",
                metadata={"expected": answer.manifest_digest, "actual": found},
            )
        return listed

    def _is_done(self, dest: Path, files: list[FileDigest]) -> bool:
        """Whether `dest` already holds exactly this version.

        Raises: FailedPrecondition when it holds anything else: files of others are never touched.
        """
        if dest.is_dir() and not dest.is_symlink():
            if not any(dest.iterdir()):
                return False
            if holds_exactly(dest, files, verify=True):
                return True
        elif not dest.exists() and not dest.is_symlink():
            return False
        raise FailedPrecondition(f"{dest} is not empty and not this version; choose a new directory or remove it")

    def _fetch(self, artifacts: dict[str, artifacts_pb2.Artifact]) -> None:
        with ThreadPoolExecutor(self.parallel, "mreg-download") as pool:
            fetched = [pool.submit(self._fetch_one, artifact) for artifact in artifacts.values()]
            try:
                for future in as_completed(fetched):
                    future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _fetch_one(self, artifact: artifacts_pb2.Artifact) -> None:
        file = FileDigest(artifact.path, artifact.digest.sha256, artifact.digest.size_bytes)

        def read(offset: int) -> Iterator[bytes]:
            for content in read_chunks(self.connection, artifact, self.stop, offset):
                if self.stop.is_set():
                    raise StoppedError
                offset += len(content)
                self.report(Progress(Phase.DOWNLOAD, file.path, offset, file.size_bytes))
                yield content

        # Bytes that are there are hashed again: the disk, or somebody with access to it, may have changed them.
        if not self.cache.fetch(file, read, verify=self.verify):
            self.report(Progress(Phase.CACHED, file.path, file.size_bytes, file.size_bytes))

    def _assemble(self, target: Path, files: list[FileDigest]) -> None:
        with self.cache.scratch(target) as made:
            for file in files:
                path = made / file.path
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                blob = self.cache.blob_path(file.sha256)
                try:
                    path.hardlink_to(blob)
                except OSError:  # too many links, or a file system without them
                    shutil.copyfile(blob, path)
                    path.chmod(0o444)
            if target.exists():
                # Somebody changed what was there.
                remove_tree(target)
            made.rename(target)
            sync_directory(target.parent)

    def _copy(self, source: Path, dest: Path, files: list[FileDigest]) -> None:
        """Copies, not links: what a user does to them must not reach the cache."""
        dest.parent.mkdir(parents=True, exist_ok=True)
        with self.cache.scratch(dest) as made:
            for file in files:
                path = made / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file.path, path)
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            made.chmod(0o755 & ~_umask())
            made.rename(dest)
            sync_directory(dest.parent)


def holds_exactly(root: Path, files: list[FileDigest], *, verify: bool) -> bool:
    """Whether a directory has these files, unchanged, and no other; links inside it count as change."""
    found: set[str] = set()
    for directory, names, entries in os.walk(root):
        if any(Path(directory, name).is_symlink() for name in names):
            return False
        found.update(Path(directory, name).relative_to(root).as_posix() for name in entries)
    return found == {file.path for file in files} and all(
        is_file_of(root / file.path, file, verify=verify) for file in files
    )


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
