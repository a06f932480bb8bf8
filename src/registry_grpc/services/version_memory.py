"""Versions as searches told them last, so that a page of them is neither read nor made again.

Of a page of 100, reading its rows and making its messages took nine tenths of the time. What is kept cannot be stale:
it is found by what the database says of a version at the time of the search.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.ports.search import VersionHit
from registry_grpc.services.codec.versions import basic_to_wire
from registry_grpc.v1 import catalogue_pb2
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.resources import Version

    Key = tuple[object, ...]

MAX_BYTES = 32 << 20
"""Of messages, for some 30,000 versions."""
_OVERHEAD_BYTES = 400
"""What Python takes for an entry beside the message."""
_MATCHES = catalogue_pb2.SearchVersionsResponse.MATCHES_FIELD_NUMBER
_VERSION = catalogue_pb2.VersionMatch.VERSION_FIELD_NUMBER


class _Told(NamedTuple):
    """A version as pages are put together of it."""

    match: bytes
    """One of the matches of a SearchVersionsResponse, whole: its number, its length, the VersionMatch."""
    inside: int
    """Where in it the ModelVersion begins, which ends with it."""

    @classmethod
    def of(cls, version: Version) -> _Told:
        raw = basic_to_wire(version).SerializeToString()
        match = submessage(_MATCHES, submessage(_VERSION, raw))
        return cls(match, len(match) - len(raw))


class VersionMemory:
    """Messages in the basic view, those used last. Safe to use by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Forgets what was not used for longest when it holds more than `max_bytes`."""
        self._max_bytes = max_bytes
        self._held: OrderedDict[Key, _Told] = OrderedDict()
        self._size_bytes = 0
        self._lock = Lock()

    def recall(self) -> Recall:
        """For one answer."""
        return Recall(self)

    def get(self, key: Key) -> _Told | None:
        """What was put."""
        with self._lock:
            told = self._held.get(key)
            if told is not None:
                self._held.move_to_end(key)
            return told

    def put(self, key: Key, told: _Told) -> None:
        """Remember a version."""
        with self._lock:
            before = self._held.pop(key, None)
            self._size_bytes -= 0 if before is None else _size(before)
            self._held[key] = told
            self._size_bytes += _size(told)
            while self._size_bytes > self._max_bytes:
                _, oldest = self._held.popitem(last=False)
                self._size_bytes -= _size(oldest)


class Recall:
    """What one answer takes from the memory: kept until it is made, whatever is forgotten meanwhile."""

    def __init__(self, memory: VersionMemory) -> None:
        """Made by `VersionMemory.recall`."""
        self._memory = memory
        self._found: dict[Key, _Told] = {}

    def has(self, hit: VersionHit) -> bool:
        """Whether the other two need no version for the hit."""
        key = hit.key
        told = self._memory.get(key)
        if told is not None:
            self._found[key] = told
        return told is not None

    def match(self, hit: VersionHit, versions: Mapping[str, Version]) -> bytes | None:
        """What was found as one match of a SearchVersionsResponse, in VERSION_VIEW_BASIC; None when it is gone.

        `versions` by uid are those that `has` denied.
        """
        told = self._tell(hit, versions)
        return None if told is None else told.match

    def basic(self, hit: VersionHit, versions: Mapping[str, Version]) -> bytes | None:
        """As `match`, the ModelVersion alone."""
        told = self._tell(hit, versions)
        return None if told is None else told.match[told.inside :]

    def _tell(self, hit: VersionHit, versions: Mapping[str, Version]) -> _Told | None:
        found = self._found.get(hit.key)
        version = versions.get(hit.uid) if found is None else None
        if version is None:
            return found
        # It may have changed since it was found.
        now, told = VersionHit(version.uid, version.revision, version.aliases), _Told.of(version)
        self._memory.put(now.key, told)
        return told


def _size(told: _Told) -> int:
    return len(told.match) + _OVERHEAD_BYTES
