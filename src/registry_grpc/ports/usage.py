"""What projects use: one row each, which is also the lock under which they use more. As `repositories` otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.tenancy import Account, Usage


class Usages(Protocol):
    """Usage of projects."""

    def get(self, project: str) -> Account:
        """What the project uses, may use and keeps.

        Raises: PROJECT_NOT_FOUND, also for a deleted project.
        """

    def change(self, project: str, change: Usage) -> Account:
        """Add `change`, and hold the row to the end of the transaction; what it is then.

        The last lock before `Unit.advance`, where the transaction takes a revision: whoever has the head has no need
        of it any more.

        Raises: PROJECT_NOT_FOUND for an absent project.
        """

    def lock(self, project: str) -> Usage | None:
        """What the row says, held against every change; None when there is no such project."""

    def count(self, project: str) -> Usage:
        """The same, counted anew from models, versions, blobs and uploads. Exact while the row is locked."""

    def put(self, project: str, usage: Usage) -> None:
        """Replace the locked row."""

    def drifted(self, limit: int) -> Sequence[str]:
        """Projects whose row may differ from what there is."""

    def fullest(self) -> float:
        """Of all quotas on stored bytes, the greatest part that is used; 0 without quotas."""
