"""What a long transfer tells its caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What is being done to a file."""

    HASH = "hash"
    UPLOAD = "upload"
    ATTACH = "attach"
    """The registry holds the bytes already; none are sent."""
    DOWNLOAD = "download"
    CACHED = "cached"
    """The bytes are in the local cache; none are fetched."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is. Sizes in bytes; `done_bytes` may fall when a cut stream resumes."""

    phase: Phase
    path: str
    done_bytes: int
    size_bytes: int


Report = Callable[[Progress], None]
"""Called from several threads; must be quick and must not raise."""


def silent(_: Progress) -> None:
    """Reports nothing."""
