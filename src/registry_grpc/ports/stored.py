"""Repositories of bytes: what is held, and what is on its way. The rules of `ports.repositories` hold here too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Blob, BlobState, Upload, UploadPart, UploadState
    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.names import UploadName


class Blobs(Protocol):
    """Bytes held, content-addressed inside a project."""

    def get(self, blob_uid: str) -> Blob | None:
        """The blob in whatever state."""

    def find_live(self, project: str, digests: Collection[Digest]) -> Sequence[Blob]:
        """LIVE blobs of the project with one of these digests; the size counts."""

    def totals(self) -> Mapping[BlobState, tuple[int, int]]:
        """For each state that occurs, how many blobs are in it and the sum of their sizes in bytes."""

    def claim(self, project: str, digest: Digest) -> Blob | None:
        """The blob to reference, locked: LIVE as it is, CONDEMNED made LIVE again; None when it must be uploaded."""

    def insert(self, blob: Blob) -> None:
        """Add a blob. At most one LIVE or CONDEMNED one per (project, digest): `claim` first, under the same lock."""

    def lock(self, blob_uid: str) -> Blob | None:
        """As `get`, held against other writers."""

    def due(self, before: datetime) -> Blob | None:
        """The LIVE or DAMAGED blob whose last check, or else its creation, is oldest, when it is before that time."""

    def checked(self, blob: Blob) -> None:
        """Keep the state, the check and the damage of a locked blob."""

    def heal(self, blob: Blob) -> int:
        """Give the files of DAMAGED blobs of the same digest to `blob`, and make those DELETING; how many blobs.

        After `Unit.advance`.
        """

    def extend_lease(self, blob_uids: Collection[str], until: datetime) -> None:
        """Keep these from collection until then, at least."""


class Uploads(Protocol):
    """Upload sessions and their parts. They take no revision."""

    def get(self, name: UploadName) -> Upload | None:
        """The upload, with its artifact when COMMITTED."""

    def lock(self, name: UploadName) -> Upload | None:
        """As `get`, held against other writers."""

    def insert(self, upload: Upload) -> None:
        """Add an upload."""

    def update(self, upload: Upload) -> None:
        """Replace the row of `upload.name`, which is locked."""

    def list(
        self,
        version_uid: str,
        *,
        states: Collection[UploadState] = (),
        after: tuple[datetime, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[Upload]:
        """By (create_time, upload uuid)."""

    def parts(self, name: UploadName) -> Sequence[UploadPart]:
        """By number."""

    def put_part(self, name: UploadName, part: UploadPart) -> None:
        """Insert or replace the part of that number."""

    def delete_parts(self, name: UploadName) -> None:
        """Forget the parts of an ended upload."""

    def expired(self, limit: int) -> Sequence[Upload]:
        """Open uploads past their expire_time."""

    def ended(self, limit: int) -> Sequence[Upload]:
        """Uploads past their expire_time that ended without a file and may have left something in the store."""

    def open_by(self, creator: str, limit: int) -> int:
        """How many open uploads that principal has; counted up to `limit`."""
