"""What servicers tell of who uses which version."""

from __future__ import annotations

from typing import Protocol


class Consumption(Protocol):
    """Counts uses of versions. On the loop only; neither waits nor raises."""

    def resolved(self, principal: str, version_uid: str) -> None:
        """Resolve or BatchResolve answered with the version."""

    def downloaded(self, principal: str, version_uid: str) -> None:
        """A file of the version was read to its end, or a URL for one was signed."""
