"""Finalizing: a draft becomes READY, its content and provenance frozen under one manifest digest."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import BlobState
from registry_grpc.domain.digests import manifest_digest
from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.domain.events import Action
from registry_grpc.domain.formats import sniff, summarise
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.stages import initial_stage
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.usecases.checks import (
    locked_model,
    require_etag,
    require_live_version,
    require_manifest_digest,
)
from registry_grpc.usecases.placement import Placement
from registry_grpc.usecases.uploads import OPEN_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.metadata import Format
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Reader, Store, Unit

ATTEMPTS = 3


class _ContentChangedError(Exception):
    """Files came or went between sniffing and freezing."""


@dataclass(frozen=True, slots=True)
class FinalizeVersion:
    """Freezes a draft and puts it into the initial stage."""

    store: Store
    artifacts: ArtifactStore
    max_files: int

    def __call__(self, call: Call[Version], name: VersionName, etag: str, expected_digest: str) -> Committed[Version]:
        """The finalized version; finalizing it again changes nothing.

        Raises: VERSION_NOT_FOUND, ETAG_MISMATCH, UPLOADS_OPEN, VERSION_EMPTY, DIGEST_MISMATCH, ARTIFACT_CORRUPT,
            STORAGE_UNAVAILABLE, TRANSACTION_CONFLICT when files keep changing meanwhile.
        """
        for _ in range(ATTEMPTS):
            # The formats are read outside the transaction: a slow store must not hold a lock.
            files = self.store.read(lambda reader: self._files(reader, name))
            formats = self._sniff(files)
            try:
                return self._freeze(call, name, etag, expected_digest, files, formats)
            except _ContentChangedError:
                continue
        raise RegistryError(
            Reason.TRANSACTION_CONFLICT,
            f"the files of {name} keep changing; finalize when nobody writes to it",
            retry_after_s=1.0,
        )

    def _files(self, reader: Reader, name: VersionName) -> Sequence[Artifact]:
        version = reader.versions.get(name)
        if version.state is not VersionState.DRAFT:
            return ()
        return reader.artifacts.list(version.uid, after="", limit=self.max_files + 1)

    def _sniff(self, files: Sequence[Artifact]) -> tuple[Format, ...]:
        found = []
        for file in files:
            blob = self.store.read(lambda reader, uid=file.blob_uid: reader.blobs.get(uid))  # type: ignore[misc]
            if blob is None or blob.state is BlobState.DAMAGED:
                raise _corrupt(file)
            found.append((file.path, sniff(file.path, file.digest.size_bytes, self._reader(blob.key, file))))
        return summarise(found)

    def _reader(self, key: str, file: Artifact) -> Callable[[int, int], bytes]:
        def read(offset: int, length: int) -> bytes:
            length = max(0, min(length, file.digest.size_bytes - offset))
            if not length:
                return b""
            try:
                with closing(self.artifacts.read(key, offset, length)) as chunks:  # type: ignore[type-var]
                    return b"".join(chunks)
            except MissingObjectError as error:
                raise _corrupt(file) from error

        return read

    def _freeze(
        self,
        call: Call[Version],
        name: VersionName,
        etag: str,
        expected_digest: str,
        files: Sequence[Artifact],
        formats: tuple[Format, ...],
    ) -> Committed[Version]:
        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            version = require_live_version(unit.versions.get(name))
            call.grant.require(name, tags=(model.tags, version.tags))
            if version.state is not VersionState.DRAFT:
                require_manifest_digest(version, expected_digest)
                return version
            require_etag(version, etag)
            present = unit.artifacts.list(version.uid, after="", limit=self.max_files + 1)
            if [(f.path, f.blob_uid) for f in present] != [(f.path, f.blob_uid) for f in files]:
                raise _ContentChangedError
            self._require_complete(unit, version, present)
            digest = manifest_digest((file.path, file.digest) for file in present)
            frozen = replace(
                version,
                state=VersionState.READY,
                manifest_digest=digest,
                formats=formats,
                file_count=len(present),
                total_size_bytes=sum(file.digest.size_bytes for file in present),
                finalize_time=unit.now,
                expire_time=None,
            )
            require_manifest_digest(frozen, expected_digest)
            return self._enter(unit, call, model, frozen)

        return self.store.write(work, call)

    def _enter(self, unit: Unit, call: Call[Version], model: Model, version: Version) -> Version:
        project = unit.projects.get(version.name.project)
        revision = unit.advance(str(version.name))
        placement = Placement(unit, call, project, model, revision)
        entered = placement.move(version, initial_stage(project).id, StageAction.FINALIZED)
        placement.settle(Action.FINALIZED)
        return entered

    @staticmethod
    def _require_complete(unit: Unit, version: Version, files: Sequence[Artifact]) -> None:
        still_open = unit.uploads.list(version.uid, states=OPEN_STATES, limit=20)
        if still_open:
            names = ", ".join(f"{upload.name} ({upload.path})" for upload in still_open)
            raise RegistryError(
                Reason.UPLOADS_OPEN,
                f"{version.name} has open uploads: {names}; finish or cancel them",
                violations=tuple(Violation(str(u.name), f"{u.path} is {u.state.upper()}") for u in still_open),
                uploads=", ".join(str(upload.name) for upload in still_open),
            )
        if not files:
            raise RegistryError(
                Reason.VERSION_EMPTY,
                f"{version.name} has no file; upload or attach at least one",
                version=version.name,
            )


def _corrupt(file: Artifact) -> RegistryError:
    return RegistryError(
        Reason.ARTIFACT_CORRUPT,
        f"the stored bytes of {file.name} ({file.path}) are missing or damaged; "
        "restore them from a backup or upload again",
        artifact=file.name,
    )
