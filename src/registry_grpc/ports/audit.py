"""The audit trail as it is kept: entries in order, the stored hashes of the tree over them, and signed heads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.audit import AuditEntry, Recorded, StoredCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted; what is empty does not count."""

    project: str = ""
    actor: str = ""
    resource: str = ""
    """This one and what lies in it."""
    method: str = ""
    """`Service.Method`, or the method alone."""
    outcome: str = ""
    """`refused` for every one but `applied`."""
    request_id: str = ""
    from_time: datetime | None = None
    to_time: datetime | None = None


class Trail(Protocol):
    """The audit trail. Entries are only ever added, with the writes they tell of."""

    def size(self) -> int:
        """How many entries there are, by the head of the log."""

    def get(self, index: int) -> Recorded | None:
        """One entry, by its place in the tree."""

    def list(self, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """Entries, the newest first, below the index `before`."""

    def entries(self, first: int, end: int, limit: int) -> Sequence[Recorded]:
        """Entries with an index in `first … end`, in order; whatever is there, even where one is missing."""

    def hashes(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """As `domain.merkle.Fetch`; fewer when entries are missing."""

    def stored_nodes(self, level: int) -> int:
        """How many hashes of a level, from the first on, are stored; levels of whole tiles from 8 on."""

    def add_nodes(self, level: int, first: int, hashes: Sequence[bytes]) -> None:
        """Store hashes of a level; what is there already stays."""

    def checkpoint(self, max_size: int = 0) -> StoredCheckpoint | None:
        """The newest one, or the newest of at most `max_size`."""

    def covering(self, size: int) -> StoredCheckpoint | None:
        """The newest one, when it is of at least `size`."""

    def checkpoints(self, *, before: int | None, limit: int) -> Sequence[StoredCheckpoint]:
        """The newest first, of a size below `before`."""

    def add_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """Keep it; one of the same size stays as it is."""
