"""Reading the files of versions: which there are, where their bytes lie, a URL to fetch them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.artifacts import BlobState
from registry_grpc.domain.errors import Reason, RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.artifacts import Artifact, Blob
    from registry_grpc.domain.names import ArtifactName, VersionName
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Reader, Store


@dataclass(frozen=True, slots=True)
class ListArtifacts:
    """Files of a version by the bytes of their paths."""

    store: Store

    def __call__(self, name: VersionName, *, after: str, limit: int) -> Sequence[Artifact]:
        """A keyset page.

        Raises: VERSION_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Artifact]:
            version = reader.versions.get(name)
            return reader.artifacts.list(version.uid, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class GetArtifact:
    """One file of a version."""

    store: Store

    def __call__(self, name: ArtifactName) -> Artifact:
        """Raises: ARTIFACT_NOT_FOUND, VERSION_NOT_FOUND."""
        return self.store.read(lambda reader: _artifact(reader, name))


@dataclass(frozen=True, slots=True)
class LocateArtifact:
    """A file with the blob that holds its bytes."""

    store: Store

    def __call__(self, name: ArtifactName) -> tuple[Artifact, Blob]:
        """Raises: ARTIFACT_NOT_FOUND, VERSION_NOT_FOUND, ARTIFACT_CORRUPT when the bytes are gone."""

        def work(reader: Reader) -> tuple[Artifact, Blob]:
            artifact = _artifact(reader, name)
            blob = reader.blobs.get(artifact.blob_uid)
            if blob is None or blob.state not in {BlobState.LIVE, BlobState.DAMAGED}:
                raise RegistryError(
                    Reason.ARTIFACT_CORRUPT,
                    f"the bytes of {artifact.name} ({artifact.path}) are no longer held; restore them from a backup",
                    artifact=artifact.name,
                )
            return artifact, blob

        return self.store.read(work)


def _artifact(reader: Reader, name: ArtifactName) -> Artifact:
    version = reader.versions.get(name.parent)
    artifact = reader.artifacts.get(version.uid, name.artifact)
    if artifact is None:
        raise RegistryError(Reason.ARTIFACT_NOT_FOUND, f"{name} does not exist", resource=name)
    return artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUrl:
    """A URL that fetches one object until it expires. A secret while it works."""

    url: str
    expire_time: datetime
    artifact: Artifact

    def __repr__(self) -> str:
        """Without the URL."""
        return f"SignedUrl(artifact={self.artifact.name!r}, expire_time={self.expire_time!r})"


@dataclass(frozen=True, slots=True)
class SignArtifactUrl:
    """A URL with which anyone can GET one file for a while."""

    store: Store
    artifacts: ArtifactStore
    locate: LocateArtifact

    def __call__(self, name: ArtifactName, ttl: timedelta) -> SignedUrl:
        """Raises: ARTIFACT_NOT_FOUND, FEATURE_DISABLED where the store has no URLs."""
        artifact, blob = self.locate(name)
        now = self.store.now()
        url = self.artifacts.sign_get(blob.key, ttl, artifact.path.rpartition("/")[2])
        if url is None:
            raise RegistryError(
                Reason.FEATURE_DISABLED,
                "this server gives no URLs (a local directory, or S3 without a public endpoint); use ReadArtifact",
                feature="artifacts.sign_url",
            )
        return SignedUrl(url=url, expire_time=now + ttl, artifact=artifact)
