"""Reading the audit trail, and proving what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.merkle import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry_grpc.domain.audit import AuditEntry, Recorded, StoredCheckpoint
    from registry_grpc.ports.audit import AuditFilter
    from registry_grpc.ports.store import Reader, Store

T = TypeVar("T")
PAGE = 100
"""Entries of one step of an export: a message of them stays below 4 MiB."""


@dataclass(frozen=True, slots=True)
class ListAuditEntries:
    """Entries, the newest first."""

    store: Store

    def __call__(self, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """Below the index `before`."""
        return self.store.read(lambda reader: reader.trail.list(wanted, before=before, limit=limit))


@dataclass(frozen=True, slots=True)
class ReadAuditEntries:
    """A step of an export."""

    store: Store

    def __call__(self, first: int, end: int) -> Sequence[Recorded]:
        """At most `PAGE` entries from `first` on, below `end`, just as they are kept."""
        return self.store.read(lambda reader: reader.trail.entries(first, end, PAGE))

    def size(self) -> int:
        """How many entries there are."""
        return self.store.read(lambda reader: reader.trail.size())


@dataclass(frozen=True, slots=True)
class GetCheckpoint:
    """Signed heads."""

    store: Store

    def __call__(self, max_size: int = 0) -> StoredCheckpoint:
        """The newest, or the newest of at most `max_size`.

        Raises: AUDIT_ENTRY_NOT_FOUND.
        """
        found = self.newest(max_size)
        if found is None:
            what = f"of at most {max_size} entries" if max_size else "yet"
            raise RegistryError(
                Reason.AUDIT_ENTRY_NOT_FOUND,
                f"there is no checkpoint {what}; one is signed every minute where there is a key",
            )
        return found

    def newest(self, max_size: int = 0) -> StoredCheckpoint | None:
        """As the call; None when there is none."""
        return self.store.read(lambda reader: reader.trail.checkpoint(max_size))

    def list(self, *, before: int | None, limit: int) -> Sequence[StoredCheckpoint]:
        """The newest first."""
        return self.store.read(lambda reader: reader.trail.checkpoints(before=before, limit=limit))


class Inclusion(NamedTuple):
    """That an entry is in a tree."""

    recorded: Recorded
    size: int
    hashes: Sequence[bytes]
    checkpoint: StoredCheckpoint | None


@dataclass(frozen=True, slots=True)
class ProveInclusion:
    """The audit path of an entry."""

    store: Store

    def __call__(self, index: int, size: int) -> Inclusion:
        """In the tree of `size`; 0 for that of the newest checkpoint, or of all there is before the first one.

        Raises: AUDIT_ENTRY_NOT_FOUND, INVALID_FIELD.
        """

        def work(reader: Reader) -> Inclusion:
            wanted = _tree_size(reader, size, "tree_size")
            recorded = reader.trail.get(index) if index < wanted else None
            if recorded is None:
                raise RegistryError(
                    Reason.AUDIT_ENTRY_NOT_FOUND, f"there is no audit entry {index} in a tree of {wanted} entries"
                )
            proof = proving(lambda: Tree(wanted, reader.trail.hashes).inclusion(index))
            return Inclusion(recorded, wanted, proof, reader.trail.covering(wanted))

        return self.store.read(work, snapshot=True)


@dataclass(frozen=True, slots=True)
class ProveConsistency:
    """That a tree begins with an older one."""

    store: Store

    def __call__(self, first: int, second: int) -> tuple[int, Sequence[bytes]]:
        """Size of the newer tree, and the proof.

        Raises: INVALID_FIELD.
        """

        def work(reader: Reader) -> tuple[int, Sequence[bytes]]:
            wanted = _tree_size(reader, second, "second_size")
            if not 1 <= first <= wanted:
                raise invalid_field("first_size", f"is {first}; must be 1 to {wanted}, the size of the newer tree")
            return wanted, proving(lambda: Tree(wanted, reader.trail.hashes).consistency(first))

        return self.store.read(work, snapshot=True)


def _tree_size(reader: Reader, wanted: int, field: str) -> int:
    """Raises: INVALID_FIELD."""
    size = reader.trail.size()
    if not wanted:
        newest = reader.trail.checkpoint()
        return newest.size if newest is not None else size
    if wanted > size:
        raise invalid_field(field, f"is {wanted}; the trail has {size} entries")
    return wanted


def proving(make: Callable[[], T]) -> T:
    """What `make` returns.

    Raises: INTERNAL when entries are missing.
    """
    try:
        return make()
    except ValueError as error:
        raise broken(str(error)) from error


def broken(why: str) -> RegistryError:
    """The trail is not what it was."""
    return RegistryError(
        Reason.INTERNAL,
        f"the audit trail was changed: {why}; export it and run `mreg audit verify` to find the first bad entry",
    )
