"""Deliveries: list, put back in line, forget; and the test of a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.webhooks import KEPT_FOR, MAX_REDELIVER, DeliveryState
from registry_grpc.usecases.webhooks import held_webhook, known_webhook

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.webhook_names import DeliveryName, WebhookName
    from registry_grpc.domain.webhooks import Delivery, Webhook
    from registry_grpc.ports.store import Reader, Store, Unit
    from registry_grpc.ports.webhooks import Place

FORGET_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """Deliveries of a webhook, the newest first."""

    store: Store

    def __call__(
        self, parent: WebhookName, states: Collection[DeliveryState], *, before: Place | None, limit: int
    ) -> Sequence[Delivery]:
        """A keyset page, of all states when none is named.

        Raises: WEBHOOK_NOT_FOUND, PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Delivery]:
            webhook = known_webhook(reader, parent)
            return reader.deliveries.list(webhook.uid, states, before=before, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class RedeliverDeliveries:
    """Puts deliveries that ended back in line."""

    store: Store

    def __call__(
        self, call: Call[int], parent: WebhookName, names: Sequence[DeliveryName], *, all_dead: bool
    ) -> Committed[int]:
        """How many are in line again; what is still in line counts for nothing.

        Raises: INVALID_FIELD, WEBHOOK_NOT_FOUND, DELIVERY_NOT_FOUND, PERMISSION_MISSING.
        """
        if bool(names) == all_dead:
            raise invalid_field("names", "give names, or all_dead, and not both")
        for at, name in enumerate(names):
            if name.parent != parent:
                raise invalid_field(f"names[{at}]", f"lies in {name.parent}, not in {parent} of the call")

        def work(unit: Unit) -> int:
            webhook = held_webhook(unit, call, parent)
            chosen = unit.deliveries.dead(webhook.uid, MAX_REDELIVER) if all_dead else _named(unit, webhook, names)
            ended = [each for each in chosen if each.state is not DeliveryState.PENDING]
            unit.advance(str(parent))
            unit.deliveries.revive(ended)
            unit.deliveries.raise_heads(webhook.uid, {each.lane for each in ended}, unit.now)
            # Nothing of the webhook itself changed: this is to say who asked for it.
            unit.record(Action.UPDATED, webhook)
            return len(ended)

        return self.store.write(work, call)


def _named(unit: Unit, webhook: Webhook, names: Sequence[DeliveryName]) -> Sequence[Delivery]:
    found = unit.deliveries.get_all(webhook.uid, [name.delivery for name in names])
    known = {each.id for each in found}
    for name in names:
        if name.delivery not in known:
            raise RegistryError(
                Reason.DELIVERY_NOT_FOUND,
                f"{name} does not exist; deliveries that ended are kept for {KEPT_FOR.days} days",
                resource=name,
            )
    return found


@dataclass(frozen=True, slots=True)
class NoteTest:
    """Keeps the delivery that a test of a webhook was."""

    store: Store

    def __call__(self, delivery: Delivery) -> None:
        """Nothing is kept when the webhook was deleted meanwhile."""

        def work(unit: Unit) -> None:
            if unit.webhooks.lock_uid(delivery.webhook_uid) is not None:
                unit.deliveries.insert_all([delivery])

        self.store.write(work)


@dataclass(frozen=True, slots=True)
class ForgetDeliveries:
    """Removes deliveries that ended longer ago than they are kept."""

    store: Store

    def __call__(self) -> int:
        """How many went; at most `FORGET_AT_ONCE` at a time.

        Raises: DATABASE_UNAVAILABLE.
        """
        return self.store.write(lambda unit: unit.deliveries.forget(unit.now - KEPT_FOR, FORGET_AT_ONCE)).get()
