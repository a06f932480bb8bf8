"""Versions as searches told them last, so that a page of them is neither read nor made again.

Of a page of 100, reading its rows and making its messages took nine tenths of the time. What is kept cannot be stale:
it is found by what the database says of a version at the time of the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.ports.search import VersionHit
from registry_grpc.services.codec.versions import basic_to_wire
from registry_grpc.services.memory import Made, Recall
from registry_grpc.v1 import catalogue_pb2
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.resources import Version
    from registry_grpc.services.memory import Memory

MAX_BYTES = 32 << 20
"""Of messages, for some 30,000 versions."""
_MATCHES = catalogue_pb2.SearchVersionsResponse.MATCHES_FIELD_NUMBER
_VERSION = catalogue_pb2.VersionMatch.VERSION_FIELD_NUMBER


class Told(NamedTuple):
    """A version as pages are put together of it."""

    match: bytes
    """One of the matches of a SearchVersionsResponse, whole: its number, its length, the VersionMatch."""
    inside: int
    """Where in it the ModelVersion begins, which ends with it."""


class VersionRecall(Recall["Version", Told]):
    """Versions of one answer, in VERSION_VIEW_BASIC."""

    def __init__(self, memory: Memory[Told]) -> None:
        """Takes from `memory`, and remembers in it what it makes."""
        super().__init__(memory, _made)

    def match(self, hit: VersionHit, versions: Mapping[str, Version]) -> bytes | None:
        """What was found as one match of a SearchVersionsResponse; see `tell`."""
        told = self.tell(hit, versions)
        return None if told is None else told.match

    def basic(self, hit: VersionHit, versions: Mapping[str, Version]) -> bytes | None:
        """As `match`, the ModelVersion alone."""
        told = self.tell(hit, versions)
        return None if told is None else told.match[told.inside :]


def _made(version: Version) -> Made[Told]:
    raw = basic_to_wire(version).SerializeToString()
    match = submessage(_MATCHES, submessage(_VERSION, raw))
    key = VersionHit(version.uid, version.revision, version.aliases).key
    return Made(key, Told(match, len(match) - len(raw)), len(match))
