"""What the collector of stored bytes asks of the metadata store. The rules of `ports.repositories` hold here too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.domain.garbage import Tally
    from registry_grpc.ports.artifacts import Stored


class Garbage(Protocol):
    """Bytes nobody needs, and objects nobody knows."""

    def idle(self, after: str, limit: int) -> tuple[Sequence[Blob], str]:
        """Of the next `limit` LIVE and DAMAGED blobs by uid: those that no file lies in and no lease keeps.

        With them the uid to go on behind; empty when nothing follows.
        """

    def due(self, before: datetime, after: tuple[datetime, str] | None, limit: int) -> Sequence[Blob]:
        """CONDEMNED and DELETING blobs that became so at or before that time and no lease keeps, oldest first.

        `after` is (condemned_at, uid), exclusive.
        """

    def totals(self, before: datetime) -> tuple[Tally, Tally]:
        """CONDEMNED and DELETING blobs that are not `due`, and those that are."""

    def lock_keys(self, keys: Collection[str]) -> Sequence[Blob]:
        """Every blob that names one of these objects, of whatever project and state, locked."""

    def in_use(self, blob_uids: Collection[str]) -> frozenset[str]:
        """Of these, those that a file lies in."""

    def retire(self, blob_uids: Collection[str]) -> None:
        """Make these, which are locked, DELETING: nobody is given them any more."""

    def bury(self, blob_uids: Collection[str]) -> int:
        """Make those of these that are DELETING GONE; how many. The rows stay: a key is never used again."""

    def known(self, keys: Collection[str]) -> frozenset[str]:
        """Of these keys, those that a blob which is not GONE, or an upload that is not dropped, accounts for."""

    def seen(self, found: Sequence[Stored]) -> Mapping[Stored, datetime]:
        """Of these objects without a row, those that were seen before, and when first."""

    def note(self, found: Sequence[Stored]) -> None:
        """Remember that these were seen without a row."""

    def forget(self, found: Sequence[Stored]) -> None:
        """They are deleted."""

    def forget_unseen(self, before: datetime, limit: int) -> int:
        """Forget those that were last seen before that time: they are gone, or have a row; how many."""

    def crowded(self, project: str, more_than: int, *, after: str, limit: int) -> Sequence[str]:
        """Uids of live models with more than so many finalized versions that are not deleted, by uid."""

    def is_marked(self) -> bool:
        """Whether this database remembers that its mark lies in the store."""

    def mark(self) -> None:
        """Remember it."""
