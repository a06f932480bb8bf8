"""Putting stored bytes into a draft: the one way a file comes into a version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import DEFAULT_MEDIA_TYPE, Artifact, TakenPaths, check_path
from registry_grpc.domain.digests import artifact_id
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.tenancy import Usage
from registry_grpc.usecases.checks import locked_model, require_draft, require_live_version
from registry_grpc.usecases.quotas import charge, claimed, draft_retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from registry_grpc.domain.access import Grant
    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.names import ProjectName, VersionName
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to put into a draft from bytes the project holds."""

    path: str
    digest: Digest
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """The files attached, in the order given, and the revision of the change."""

    artifacts: tuple[Artifact, ...]
    revision: int


def locked_draft(unit: Unit, name: VersionName, grant: Grant) -> Version:
    """The version, with its model locked, when it still takes files, and takes them from whoever has this grant.

    Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, VERSION_IMMUTABLE, PERMISSION_MISSING.
    """
    model = locked_model(unit, name.parent)
    version = require_live_version(unit.versions.get(name))
    grant.require(name, tags=(model.tags, version.tags))
    require_draft(version)
    return version


def require_room(reader: Reader, version: Version, paths: Sequence[str], max_files: int, field: str) -> None:
    """Refuse paths that collide with each other or with files of the version, and too many files.

    Raises: INVALID_FIELD, QUOTA_EXCEEDED.
    """
    taken = TakenPaths(reader.artifacts.colliding(version.uid, paths))
    for path in paths:
        taken.check(path, field)
        taken.add(path)
    if version.file_count + len(paths) > max_files:
        count, _ = reader.artifacts.count(version.uid)
        new = sum(reader.artifacts.get(version.uid, artifact_id(path)) is None for path in paths)
        if count + new > max_files:
            raise RegistryError(
                Reason.QUOTA_EXCEEDED,
                f"{version.name} would have {count + new} files; the limit is {max_files}; pack them",
                limit=max_files,
            )


def require_file_etag(reader: Reader, version: Version, path: str, etag: str) -> None:
    """Refuse when the file at `path` is not the one the caller means to replace.

    Raises: ETAG_MISMATCH.
    """
    if not etag:
        return
    present = reader.artifacts.get(version.uid, artifact_id(path))
    if present is None or present.etag != etag:
        raise RegistryError(
            Reason.ETAG_MISMATCH,
            f"the file {path!r} of {version.name} is not the one with etag {etag!r}; look again and decide",
            resource=f"{version.name}/artifacts/{artifact_id(path)}",
            currentEtag=present.etag if present else "",
        )


def put_files(
    unit: Unit,
    version: Version,
    files: Sequence[tuple[str, Blob, str]],
    revision: int,
    retention: timedelta,
    contributors: Iterable[str],
) -> tuple[Artifact, ...]:
    """Write the files (path, bytes, media type) into a locked draft, after `Unit.advance`; `contributors` sent them."""
    artifacts = tuple(
        Artifact(
            version=version.name,
            version_uid=version.uid,
            path=path,
            blob_uid=blob.uid,
            digest=blob.digest,
            media_type=media_type or DEFAULT_MEDIA_TYPE,
            create_time=unit.now,
            revision=revision,
        )
        for path, blob, media_type in files
    )
    for artifact in artifacts:
        unit.artifacts.put(artifact)
        unit.record(Action.ATTACHED, artifact)
    count, size_bytes = unit.artifacts.count(version.uid)
    unit.versions.update(
        replace(
            version,
            file_count=count,
            total_size_bytes=size_bytes,
            update_time=unit.now,
            expire_time=unit.now + retention,
            contributors=tuple(sorted({*version.contributors, *contributors})),
            revision=revision,
        ),
    )
    return artifacts


@dataclass(frozen=True, slots=True)
class FindMissingArtifacts:
    """Which digests the project does not hold; the others are kept for a while."""

    store: Store
    lease: timedelta

    def __call__(self, project: ProjectName, digests: Sequence[Digest]) -> Sequence[Digest]:
        """In the order asked for, without repeats.

        Raises: PROJECT_NOT_FOUND.
        """
        wanted = list(dict.fromkeys(digests))

        def work(unit: Unit) -> Sequence[Digest]:
            unit.projects.get(project.project)
            held = unit.blobs.find_live(project.project, wanted)
            until = unit.now + self.lease
            stale = [blob.uid for blob in held if blob.lease_until is None or blob.lease_until < until - self.lease / 2]
            if stale:
                unit.blobs.extend_lease(stale, until)
            known = {blob.digest for blob in held}
            return [digest for digest in wanted if digest not in known]

        return self.store.write(work).get()


@dataclass(frozen=True, slots=True)
class AttachArtifacts:
    """Puts bytes the project holds into a draft: all or nothing."""

    store: Store
    max_files: int
    draft_retention: timedelta
    """Where the project says nothing."""

    def __call__(
        self, call: Call[Attached], name: VersionName, attachments: Sequence[Attachment]
    ) -> Committed[Attached]:
        """Raises: ARTIFACT_NOT_FOUND for a digest the project does not hold, VERSION_IMMUTABLE, QUOTA_EXCEEDED."""
        for index, wanted in enumerate(attachments):
            check_path(wanted.path, f"attachments[{index}].path")

        def work(unit: Unit) -> Attached:
            version = locked_draft(unit, name, call.grant)
            paths = list(dict.fromkeys(wanted.path for wanted in attachments))
            require_room(unit, version, paths, self.max_files, "attachments")
            rest = draft_retention(unit, name.project, self.draft_retention)
            files, revived = [], 0
            for wanted in attachments:
                blob, again = claimed(unit, name.project, wanted.digest)
                revived += again
                if blob is None:
                    raise RegistryError(
                        Reason.ARTIFACT_NOT_FOUND,
                        f"project {name.project!r} holds no bytes with sha256 {wanted.digest.sha256} and "
                        f"{wanted.digest.size_bytes} bytes; upload {wanted.path!r}",
                        resource=f"projects/{name.project}/artifacts/{wanted.digest.sha256}",
                        path=wanted.path,
                    )
                files.append((wanted.path, blob, wanted.media_type))
            if revived:
                charge(unit, name.project, Usage(stored_bytes=revived))
            revision = unit.advance(str(name))
            artifacts = put_files(unit, version, files, revision, rest, (call.principal.name,))
            return Attached(artifacts=artifacts, revision=revision)

        return self.store.write(work, call)
