"""Checking an export of the audit trail against signed heads, with nothing but the export, the key and old notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.audit import first_difference
from registry_grpc.domain.merkle import Growing, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.audit import Recorded
    from registry_grpc.domain.notes import Head


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong."""

    first: int
    """Index of the first bad entry, or of the first that may be it."""
    last: int
    """Of the last that may be the first bad one; the same when it is known."""
    why: str

    def __str__(self) -> str:
        """A line that names it."""
        if self.first == self.last:
            return f"entry {self.first}: {self.why}"
        return f"the first bad entry is one of {self.first} to {self.last}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to."""

    entries: int
    """How many were read before it ended."""
    covered: int
    """How many of them a signed head bears out."""
    fault: Fault | None


def check(entries: Iterable[Recorded], heads: Sequence[Head]) -> Verdict:
    """Whether `entries`, from the first one on, are those under every one of `heads`, whose signatures were checked.

    What each entry says is held against its leaf, and the tree of the leaves against each head.
    """
    waiting = sorted(heads, key=lambda head: head.size)
    tree, covered = Growing(), 0
    for recorded in entries:
        fault = _fault_of(recorded, tree.size)
        if fault is not None:
            return Verdict(tree.size, covered, fault)
        tree.add(leaf_hash(recorded.leaf))
        while waiting and waiting[0].size <= tree.size:
            head = waiting.pop(0)
            if head.size == tree.size and head.root != tree.root():
                why = f"the first {head.size} entries are not those that the checkpoint was signed over"
                return Verdict(tree.size, covered, Fault(covered, head.size - 1, why))
            covered = head.size
    if waiting:
        why = f"it is missing, and so is what follows: a checkpoint was signed over {waiting[-1].size} entries"
        return Verdict(tree.size, covered, Fault(tree.size, tree.size, why))
    return Verdict(tree.size, covered, None)


def _fault_of(recorded: Recorded, expected: int) -> Fault | None:
    found = recorded.entry.index
    if found != expected:
        return Fault(expected, expected, f"it is missing; in its place stands entry {found}")
    difference = first_difference(recorded)
    return Fault(expected, expected, difference) if difference else None
