"""Versions as searches told them last, so that a page of them is neither read nor made again.

Of a page of 100, reading its rows and making its messages took nine tenths of the time. What is kept cannot be stale:
it is found by what the database says of a version at the time of the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.ports.search import VersionHit
from registry_grpc.services.codec.versions import basic_to_wire
from registry_grpc.services.memory import Memory
from registry_grpc.v1 import catalogue_pb2
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.resources import Version

MAX_BYTES = 32 << 20
"""Of messages, for some 30,000 versions."""
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
    """Messages in the basic view. Safe to use by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Forgets what was not used for longest when it holds more than `max_bytes`."""
        self._memory: Memory[_Told] = Memory(max_bytes)

    def recall(self) -> Recall:
        """For one answer."""
        return Recall(self._memory)


class Recall:
    """What one answer takes from the memory: kept until it is made, whatever is forgotten meanwhile."""

    def __init__(self, memory: Memory[_Told]) -> None:
        """Made by `VersionMemory.recall`."""
        self._memory = memory
        self._found: dict[object, _Told] = {}

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
        self._memory.put(now.key, told, len(told.match))
        return told
