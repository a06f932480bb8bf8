"""Versions as searches told them last, so that a page of them is neither read nor made again.

Of a page of 100, reading its rows and making its messages took nine tenths of the time. What is kept cannot be stale:
it is found by what the database says of a version at the time of the search.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from registry_grpc.ports.search import VersionHit
from registry_grpc.services.codec.versions import basic_to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.resources import Version

    Key = tuple[object, ...]

MAX_BYTES = 32 << 20
"""Of messages, for some 30,000 versions."""
_OVERHEAD_BYTES = 400
"""What Python takes for an entry beside the message."""


class VersionMemory:
    """Messages in the basic view, those used last. Safe to use by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Forgets what was not used for longest when it holds more than `max_bytes`."""
        self._max_bytes = max_bytes
        self._held: OrderedDict[Key, bytes] = OrderedDict()
        self._size_bytes = 0
        self._lock = Lock()

    def recall(self) -> Recall:
        """For one answer."""
        return Recall(self)

    def get(self, key: Key) -> bytes | None:
        """The message as it was put."""
        with self._lock:
            raw = self._held.get(key)
            if raw is not None:
                self._held.move_to_end(key)
            return raw

    def put(self, key: Key, raw: bytes) -> None:
        """Remember a message."""
        with self._lock:
            before = self._held.pop(key, None)
            self._size_bytes -= 0 if before is None else _size(before)
            self._held[key] = raw
            self._size_bytes += _size(raw)
            while self._size_bytes > self._max_bytes:
                _, oldest = self._held.popitem(last=False)
                self._size_bytes -= _size(oldest)


class Recall:
    """What one answer takes from the memory: kept until it is made, whatever is forgotten meanwhile."""

    def __init__(self, memory: VersionMemory) -> None:
        """Made by `VersionMemory.recall`."""
        self._memory = memory
        self._found: dict[Key, bytes] = {}

    def has(self, hit: VersionHit) -> bool:
        """Whether `basic` needs no version for the hit."""
        raw = self._memory.get(hit.key)
        if raw is not None:
            self._found[hit.key] = raw
        return raw is not None

    def basic(self, hit: VersionHit, versions: Mapping[str, Version]) -> bytes | None:
        """VERSION_VIEW_BASIC of what was found; None when it is gone. `versions` by uid are those that `has` denied."""
        found = self._found.get(hit.key)
        version = versions.get(hit.uid) if found is None else None
        if version is None:
            return found
        # It may have changed since it was found.
        now = VersionHit(version.uid, version.revision, version.aliases)
        raw = basic_to_wire(version).SerializeToString()
        self._memory.put(now.key, raw)
        return raw


def _size(raw: bytes) -> int:
    return len(raw) + _OVERHEAD_BYTES
