"""The hash tree over the audit trail: heads and proofs from stored hashes. Source: RFC 6962 section 2.1.

Hashes of perfect subtrees are kept for every eighth level only, as tiles of 256 (C2SP tlog-tiles): what lies between
is made of at most 128 of them. A tree of a size is all there is to know of it: nothing here remembers anything.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Fetch = Callable[[int, int, int], Sequence[bytes]]
    """`(level, first, count)`: hashes of perfect subtrees of 2**level leaves, from the first one on; `level` is a
    multiple of `TILE_LEVELS`."""

TILE_LEVELS = 8
TILE = 1 << TILE_LEVELS
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf. Source: RFC 6962 section 2.1, MTH of one entry."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of what lies above two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree of a size."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        """`fetch` must have every whole subtree of the first `size` leaves."""
        self.size = size
        self._fetch = fetch

    def root(self) -> bytes:
        """The head, 32 bytes."""
        return self._hash(0, self.size)

    def inclusion(self, index: int) -> list[bytes]:
        """The audit path of a leaf, from the leaf up. Source: RFC 6962 section 2.1.1.

        Raises: ValueError for a leaf that is not in the tree.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"leaf {index} is not in a tree of {self.size}")
        path: list[bytes] = []
        low, high = 0, self.size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, first: int) -> list[bytes]:
        """That this tree begins with the one of size `first`. Source: RFC 6962 section 2.1.2.

        Raises: ValueError unless 1 ≤ first ≤ size.
        """
        if not 1 <= first <= self.size:
            raise ValueError(f"a tree of {self.size} has none of {first} in it")
        path: list[bytes] = []
        low, high = 0, self.size
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low = middle
        # The old tree, when it is a whole subtree of the new one, is what the verifier has already.
        return ([self._hash(low, high)] if low else []) + path[::-1]

    def _hash(self, low: int, high: int) -> bytes:
        """Of the leaves `low … high`; `low` is where a split of the tree may be."""
        if low == high:
            return EMPTY_ROOT
        found = b""
        while low < high:
            # Whole subtrees, from the right end: each is the right sibling's left neighbour.
            width = high - low
            level = (high & -high).bit_length() - 1 if high else 0
            while 1 << level > width:
                level -= 1
            subtree = self._subtree(level, (high - (1 << level)) >> level)
            found = node_hash(subtree, found) if found else subtree
            high -= 1 << level
        return found

    def _subtree(self, level: int, index: int) -> bytes:
        stored = level - level % TILE_LEVELS
        count = 1 << (level - stored)
        hashes = list(self._fetch(stored, index * count, count))
        if len(hashes) != count:
            raise ValueError(f"the tree lacks hashes of level {stored} at {index * count}: {len(hashes)} of {count}")
        return fold(hashes)


class Growing:
    """A tree that is built leaf by leaf, from its beginning: knows its head at every size, and no proofs."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []
        """Level and hash of each whole subtree, the largest first."""

    def add(self, hashed: bytes) -> None:
        """Take the hash of the next leaf."""
        level = 0
        while self._peaks and self._peaks[-1][0] == level:
            hashed = node_hash(self._peaks.pop()[1], hashed)
            level += 1
        self._peaks.append((level, hashed))
        self.size += 1

    def root(self) -> bytes:
        """The head, 32 bytes."""
        if not self._peaks:
            return EMPTY_ROOT
        found = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash above the hashes of a whole subtree, whose number is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def proves_inclusion(hashed: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf with this hash is in the tree. Source: RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, hashed
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(each, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, each)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def proves_consistency(first: int, second: int, proof: Sequence[bytes], old: bytes, new: bytes) -> bool:
    """Whether the tree of size `second` begins with that of size `first`. Source: RFC 9162 section 2.1.4.2."""
    if first == second:
        return not proof and old == new
    if not 1 <= first < second:
        return False
    path = [old, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(each, was), node_hash(each, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, each)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old and now == new


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
