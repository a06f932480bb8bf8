"""Repositories of webhooks and their deliveries, and the keeper of their secrets.

Deliveries take no revision. Of each lane of a webhook only the oldest pending one has a `next_attempt_time`, so that
what is due is found without looking at what waits behind it. Whoever adds, ends or revives deliveries holds the row of
the webhook and calls `Deliveries.raise_heads`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.webhook_names import WebhookName
    from registry_grpc.domain.webhooks import Delivery, DeliveryState, Webhook


@dataclass(frozen=True, slots=True)
class Place:
    """Where a delivery stands in a list, the newest first."""

    create_time: datetime
    revision: int
    index: int
    id: str


class Webhooks(Protocol):
    """Webhooks."""

    def get(self, name: WebhookName) -> Webhook | None:
        """The webhook with its progress."""

    def by_uid(self, uid: str) -> Webhook | None:
        """As `get`."""

    def lock(self, name: WebhookName) -> Webhook | None:
        """As `get`, held against other writers and against whoever adds or ends deliveries."""

    def lock_uid(self, uid: str) -> Webhook | None:
        """As `lock`."""

    def list(self, project: str, *, after: str, limit: int) -> Sequence[Webhook]:
        """By id, with their progress."""

    def count(self, project: str) -> int:
        """How many the project has."""

    def insert(self, webhook: Webhook) -> None:
        """Add one whose cursor is its own revision. Raises: RESOURCE_EXISTS."""

    def update(self, webhook: Webhook) -> None:
        """Replace what is not progress."""

    def delete(self, uid: str) -> None:
        """Remove it with its deliveries."""

    def delete_all(self, project: str) -> Sequence[Webhook]:
        """Remove those of a project that goes for good, with their deliveries; what they were."""

    def behind(self, head: int) -> Sequence[Webhook]:
        """Enabled ones whose cursor is below `head`; their counts are left out."""

    def oldest_cursor(self) -> int | None:
        """The smallest cursor of an enabled one; None without any."""

    def advance(self, uid: str, before: int, after: int) -> bool:
        """Move the cursor, when it stands at `before` and the webhook is enabled; the row is held then."""

    def advance_all(self, uids: Collection[str], before: int, after: int) -> None:
        """As `advance`, for several that all stand there."""

    def note(self, uid: str, *, success_time: datetime | None, error: str) -> None:
        """Keep how the last attempt went."""


class Deliveries(Protocol):
    """Deliveries."""

    def list(
        self, webhook_uid: str, states: Collection[DeliveryState], *, before: Place | None, limit: int
    ) -> Sequence[Delivery]:
        """The newest first, of all states when none is named."""

    def get_all(self, webhook_uid: str, ids: Collection[str]) -> Sequence[Delivery]:
        """Those there are."""

    def dead(self, webhook_uid: str, limit: int) -> Sequence[Delivery]:
        """Those given up, the oldest first."""

    def insert_all(self, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries. One of an event that the webhook has already is an error of the engine."""

    def raise_heads(self, webhook_uid: str, lanes: Collection[str], now: datetime) -> None:
        """Make the oldest pending one of each lane due, unless it has its time already."""

    def due(self, now: datetime, *, busy: Collection[str], limit: int) -> Sequence[Delivery]:
        """Those that are due and the oldest of their lane, of enabled webhooks that are not `busy` (uids)."""

    def next_due(self) -> datetime | None:
        """When the next one is due; None without any."""

    def oldest_pending(self) -> datetime | None:
        """When the event of the oldest pending one, of an enabled webhook, was committed."""

    def claim(self, delivery: Delivery, claim: str, until: datetime) -> bool:
        """Take it for one attempt, when nobody did since it was read; it is due again at `until`."""

    def settle(self, delivery: Delivery, claim: str) -> bool:
        """Keep its state after an attempt, when the claim still stands."""

    def revive(self, deliveries: Collection[Delivery]) -> None:
        """Put those that ended back in line."""

    def forget(self, before: datetime, limit: int) -> int:
        """Remove those that ended before that time, some of them; how many."""


class WebhookSecrets(Protocol):
    """Makes secrets, and keeps them so that the database alone is no use. Safe from any thread."""

    def new(self) -> str:
        """`whsec_` and 32 random bytes in base64."""

    def seal(self, webhook_uid: str, secret: str) -> bytes:
        """What is kept; of use for this webhook only."""

    def open(self, webhook_uid: str, sealed: bytes) -> str:
        """The secret.

        Raises: ValueError when it was sealed with another key or for another webhook.
        """
