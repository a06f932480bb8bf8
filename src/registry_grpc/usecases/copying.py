"""Copying a finalized version into another model, of this project or another: the bytes stay where they are.

The target project gets blobs of its own that name the same objects. So neither project can see, or take away, what the
other has, and each pays for it out of its own quota.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import Blob, BlobState
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.resources import Version, VersionState
from registry_grpc.domain.stages import initial_stage
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import require_live_model, require_live_version
from registry_grpc.usecases.placement import Placement
from registry_grpc.usecases.quotas import charge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store, Unit

_COPIED = frozenset({VersionState.READY, VersionState.DEPRECATED})


@dataclass(frozen=True, slots=True)
class CopyVersion:
    """Makes a READY version with the content and the frozen metadata of another one."""

    store: Store
    ids: Ids
    max_files: int

    def __call__(self, call: Call[Version], parent: ModelName, source: VersionName, label: str) -> Committed[Version]:
        """The copy, in the initial stage of its project. Owner, tags, annotations and aliases stay behind.

        Whoever made the original, or put bytes into it, counts as having made the copy too.

        Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, VERSION_STATE for a draft or yanked source, ARTIFACT_CORRUPT,
            RESOURCE_EXISTS (label taken), QUOTA_EXCEEDED.
        """
        uid = self.ids.uuid()

        def work(unit: Unit) -> Version:
            model, original = _locked(unit, parent, source)
            call.grant.require(parent, tags=(model.tags,))
            files = unit.artifacts.list(original.uid, after="", limit=self.max_files)
            held = _sound(unit, files)
            present, revived = _present(unit, parent.project, [blob.digest for blob in held.values()])
            project = unit.projects.get(parent.project)
            number = unit.models.number_version(parent).number
            new = [blob for digest, blob in held.items() if digest not in present]
            stored = revived + sum(blob.digest.size_bytes for blob in new)
            charge(unit, parent.project, Usage(stored, versions=1))
            revision = unit.advance(str(parent))
            added = [
                replace(blob, uid=self.ids.uuid(), project=parent.project, create_time=unit.now, lease_until=None)
                for blob in new
            ]
            unit.blobs.insert_all(added)
            present |= {blob.digest: blob for blob in added}
            made = Version(
                uid=uid,
                model_uid=model.uid,
                name=parent.version(number),
                state=VersionState.READY,
                version_label=label,
                description=original.description,
                model_card=original.model_card,
                card=original.card,
                metadata=original.metadata,
                formats=original.formats,
                file_count=original.file_count,
                total_size_bytes=original.total_size_bytes,
                manifest_digest=original.manifest_digest,
                creator=call.principal.name,
                contributors=tuple(sorted({original.creator, *original.contributors})),
                copied_from=str(source),
                create_time=unit.now,
                update_time=unit.now,
                finalize_time=unit.now,
                revision=revision,
            )
            unit.versions.insert(made)
            unit.artifacts.insert_all([_file(file, made, present[file.digest]) for file in files])
            placement = Placement(unit, call, project, model, revision)
            entered = placement.move(made, initial_stage(project).id, StageAction.FINALIZED)
            placement.settle(Action.CREATED)
            return entered

        return self.store.write(work, call)


def _locked(unit: Unit, parent: ModelName, source: VersionName) -> tuple[Model, Version]:
    """The target model and the source, which can be neither yanked nor purged before this ends."""
    # In one order, or two copies that cross each other would wait for each other.
    locked = {name: unit.models.lock(name) for name in sorted({parent, source.parent}, key=str)}
    require_live_model(locked[source.parent])
    original = require_live_version(unit.versions.get(source))
    if original.state not in _COPIED:
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{source} is {original.state.upper()}; only a READY or DEPRECATED version can be copied",
            version=source,
            state=original.state.upper(),
        )
    return require_live_model(locked[parent]), original


def _sound(unit: Unit, files: Sequence[Artifact]) -> dict[Digest, Blob]:
    """The source's bytes by digest, locked: what names an object is not deleted while its row is held.

    Raises: ARTIFACT_CORRUPT.
    """
    by_uid = {blob.uid: blob for blob in unit.blobs.lock_all({file.blob_uid for file in files})}
    for file in files:
        blob = by_uid.get(file.blob_uid)
        if blob is None or blob.state is not BlobState.LIVE:
            raise RegistryError(
                Reason.ARTIFACT_CORRUPT,
                f"the stored bytes of {file.name} ({file.path}) are damaged or gone; they are not copied",
                artifact=file.name,
            )
    return {file.digest: by_uid[file.blob_uid] for file in files}


def _present(unit: Unit, project: str, digests: Sequence[Digest]) -> tuple[dict[Digest, Blob], int]:
    """What the project holds of these, made LIVE, and the bytes that are used again by that."""
    held = unit.blobs.hold_all(project, digests)
    condemned = [blob for blob in held if blob.state is BlobState.CONDEMNED]
    unit.blobs.revive(condemned)
    return {blob.digest: blob for blob in held}, sum(blob.digest.size_bytes for blob in condemned)


def _file(file: Artifact, of: Version, blob: Blob) -> Artifact:
    return replace(
        file,
        version=of.name,
        version_uid=of.uid,
        blob_uid=blob.uid,
        create_time=of.create_time,
        revision=of.revision,
    )
