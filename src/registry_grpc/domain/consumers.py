"""Who used which version, by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.names import VersionName


class Use(StrEnum):
    """How a version was used."""

    RESOLVED = "resolved"
    DOWNLOADED = "downloaded"


@dataclass(frozen=True, slots=True, order=True)
class Counted:
    """How often somebody used a version since it was last written down."""

    version_uid: str
    principal: str
    use: Use
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """How often somebody used a version on a day."""

    principal: str
    version: VersionName
    use: Use
    day: str
    """`YYYY-MM-DD`, UTC, by the database's clock."""
    count: int
    last_time: datetime
    """When it was last written down: at most a minute after the use."""
