"""What a run of the collector found and removed, and which keys can be this program's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from registry_grpc.domain.artifacts import Blob

MARKER_KEY = "registrygrpc/marker"
"""The object that says whose the store is."""
_MADE = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}")


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of things with their size."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.count + other.count, self.size_bytes + other.size_bytes)

    def __sub__(self, other: Tally) -> Tally:
        """Without the others, which are among these."""
        return Tally(self.count - other.count, self.size_bytes - other.size_bytes)

    @classmethod
    def of(cls, blobs: Iterable[Blob]) -> Tally:
        """Of these blobs."""
        sizes = [blob.digest.size_bytes for blob in blobs]
        return cls(len(sizes), sum(sizes))


NOTHING = Tally()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one run found, or removed."""

    waiting: Tally = NOTHING
    """Blobs that no file needs and whose grace is not over."""
    collected: Tally = NOTHING
    """Blobs past their grace."""
    orphans_waiting: Tally = NOTHING
    """Objects without a row that are too young, or were not seen for long enough."""
    orphans_collected: Tally = NOTHING
    """Objects without a row past both."""
    more: bool = False
    """The run ended before it had seen everything."""


def may_be_ours(key: str) -> bool:
    """Whether this program makes such keys: what somebody else put into the store is nobody's orphan."""
    return _MADE.fullmatch(key) is not None
