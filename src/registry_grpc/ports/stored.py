"""Repositories of bytes: what is held, and what is on its way. The rules of `ports.repositories` hold here too.

Several blobs, of several projects, may name one object, because a copy between projects stores no byte twice. Whoever
deletes objects of blobs must, in the transaction that decides it, lock every blob of the key and find all of them
DELETING or GONE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Artifact, Blob, BlobState, Upload, UploadPart, UploadState
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
        """The blob to reference, locked: LIVE as it is, CONDEMNED made LIVE again; None when it must be uploaded.

        DELETING and GONE ones are not present: their object may be gone already.
        """

    def hold(self, project: str, digest: Digest) -> Blob | None:
        """The LIVE or CONDEMNED blob with these bytes, locked, as it is."""

    def hold_all(self, project: str, digests: Collection[Digest]) -> Sequence[Blob]:
        """As `hold`, for many: those there are."""

    def revive(self, blobs: Sequence[Blob]) -> None:
        """Make these, which are held, LIVE."""

    def lock_all(self, blob_uids: Collection[str]) -> Sequence[Blob]:
        """As `lock`, for many, in one order for all writers."""

    def condemn(self, blob_uids: Collection[str]) -> int:
        """Of these, which are locked: what no file lies in any more is CONDEMNED from now on; the bytes of it.

        What was DAMAGED is DELETING at once: it would be given to nobody.
        """

    def release(self, project: str) -> None:
        """Make every blob of a project that goes for good DELETING: whoever takes its id gets none of its bytes."""

    def insert_all(self, blobs: Sequence[Blob]) -> None:
        """As `insert`, for many."""

    def insert(self, blob: Blob) -> None:
        """Add a blob. At most one LIVE or CONDEMNED one per (project, digest): `claim` first, under the same lock."""

    def lock(self, blob_uid: str) -> Blob | None:
        """As `get`, held against other writers."""

    def due(self, before: datetime) -> Blob | None:
        """The LIVE or DAMAGED blob whose last check, or else its creation, is oldest, when it is before that time."""

    def checked(self, blob: Blob) -> None:
        """Keep the state, the check and the damage of a locked blob."""

    def count_damaged(self, project: str, digest: Digest) -> int:
        """How many DAMAGED blobs `heal` will retire; they are held."""

    def bytes_only_in(self, version_uid: str, blob_uids: Collection[str]) -> int:
        """Of these, which are locked: the bytes that may be read and lie in no file of another version."""

    def heal(self, blob: Blob) -> int:
        """Give the files of DAMAGED blobs of the same digest to `blob`, and make those DELETING; how many blobs.

        After `Unit.advance`.
        """

    def extend_lease(self, blob_uids: Collection[str], until: datetime) -> None:
        """Keep these from collection until then, at least."""


class Artifacts(Protocol):
    """Files of versions."""

    def get(self, version_uid: str, artifact_id: str) -> Artifact | None:
        """The file with this id."""

    def list(self, version_uid: str, *, after: str, limit: int) -> Sequence[Artifact]:
        """By the UTF-8 bytes of the path, the same on every engine."""

    def digests(self, version_uid: str) -> Mapping[str, Digest]:
        """The digests of all files by path, in no order: cheaper by far than the files."""

    def count(self, version_uid: str) -> tuple[int, int]:
        """How many files the version has, and the sum of their sizes in bytes."""

    def colliding(self, version_uid: str, paths: Collection[str]) -> Sequence[str]:
        """Paths of files that may collide with one of `paths` on some file system; `TakenPaths` judges them.

        All files whose `domain.artifacts.folded` path equals, is an ancestor directory of, or lies below the folded
        form of one of `paths`, whatever the case or Unicode form. Must use an index (a column with the folded path).
        """

    def of_blob(self, blob_uid: str, limit: int) -> Sequence[Artifact]:
        """Files with these bytes, in no order."""

    def blob_uids(self, version_uid: str) -> Sequence[str]:
        """The blobs its files lie in, each once."""

    def logical_bytes(self) -> int:
        """Sum of the sizes of all files of all versions: what would be stored without deduplication."""

    def put(self, artifact: Artifact) -> None:
        """Insert, or replace the file at the same path. The model is locked."""

    def insert_all(self, artifacts: Sequence[Artifact]) -> None:
        """Add the files of a new version at once."""

    def delete_of(self, version_uid: str) -> None:
        """Remove all files of the version."""


class Uploads(Protocol):
    """Upload sessions and their parts. They take no revision."""

    def get(self, name: UploadName) -> Upload | None:
        """The upload, with its artifact when COMMITTED; None in a deleted project."""

    def lock(self, name: UploadName) -> Upload | None:
        """As `get`, also in a deleted project, held against other writers."""

    def insert(self, upload: Upload) -> None:
        """Add an upload."""

    def update(self, upload: Upload) -> None:
        """Replace the row of `upload.name`, which is locked."""

    def persist(self, upload: Upload) -> bool:
        """Set persisted_size and expire_time to those of `upload`, and lock its row.

        False, and nothing is set, unless it is open, of that epoch, and in a project that is not deleted.
        """

    def list(
        self,
        version_uid: str,
        *,
        states: Collection[UploadState] = (),
        after: tuple[datetime, str] | None = None,
        limit: int = 1000,
        creator: str = "",
    ) -> Sequence[Upload]:
        """By (create_time, upload uuid); of one creator, or of all of them when it is empty."""

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

    def forget_of(self, version_uid: str) -> tuple[int, int]:
        """Remove the uploads into a version that is purged; how many were open, and the bytes they had declared.

        Those that may have left something in the store stay as EXPIRED, due at once, until `forget_orphan`.
        """

    def forget_orphan(self, name: UploadName) -> None:
        """Remove an upload whose version is gone, once the store keeps nothing of it."""

    def open_by(self, creator: str, limit: int) -> int:
        """How many open uploads that principal has; counted up to `limit`."""
