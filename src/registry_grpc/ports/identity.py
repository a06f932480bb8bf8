"""What proving a caller needs to know of service accounts: in memory, kept current by the change feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Accounts(Protocol):
    """Service accounts, as this replica knows them. Safe from any thread, without waiting."""

    def is_active(self, principal: str) -> bool:
        """Whether `serviceAccount:…` is there and not disabled. True for every other kind of principal."""

    def by_certificate(self, names: Sequence[str]) -> str | None:
        """The principal of the account that carries one of these `uri:…` and `dns:…` names; None for no account."""
