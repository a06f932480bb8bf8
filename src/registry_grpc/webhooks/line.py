"""Claims deliveries that are due, and keeps what came of them. Blocking."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.webhooks import GONE, MAX_KEPT_ATTEMPTS, DeliveryState, pause_after
from registry_grpc.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.webhooks import Attempt, Delivery, Webhook
    from registry_grpc.ports.store import Reader, Store, Unit

CLAIM = timedelta(seconds=20)
"""Longer than an attempt can take: who sees a claim past its time knows that nobody sends."""
AT_ONCE = 16
AT_ONCE_PER_WEBHOOK = 4


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to send now, by nobody else."""

    delivery: Delivery
    webhook: Webhook
    claim: str
    now: datetime


class Look(NamedTuple):
    """What is to do."""

    claimed: Sequence[Claimed]
    wait_s: float | None
    """Until the next one is due; None without any."""


@dataclass(frozen=True, slots=True)
class Line:
    """The deliveries of all webhooks."""

    store: Store
    disable: Callable[[Unit, str, str], None]
    """Disables a webhook by uid for a reason; takes the revision."""
    jitter: Callable[[], float]

    def look(self, open_by_webhook: Mapping[str, int]) -> Look:
        """Claim what is due and may be sent beside what is open already.

        Raises: DATABASE_UNAVAILABLE.
        """
        now, due = self.store.read(lambda reader: (reader.now, reader.deliveries.next_due()))
        if due is None or due > now:
            return Look((), None if due is None else (due - now).total_seconds())
        failpoint("webhook.claim.before")
        claimed = self.store.write(lambda unit: self._claim(unit, open_by_webhook)).get()
        if claimed:
            failpoint("webhook.claim.after")
        return Look(claimed, None)

    def _claim(self, unit: Unit, open_by_webhook: Mapping[str, int]) -> Sequence[Claimed]:
        now, taken = unit.now, dict(open_by_webhook)
        free = AT_ONCE - sum(taken.values())
        busy = [uid for uid, count in taken.items() if count >= AT_ONCE_PER_WEBHOOK]
        claimed: list[Claimed] = []
        for delivery in unit.deliveries.due(now, busy=busy, limit=AT_ONCE * AT_ONCE_PER_WEBHOOK) if free > 0 else ():
            uid = delivery.webhook_uid
            if len(claimed) == free or taken.get(uid, 0) >= AT_ONCE_PER_WEBHOOK:
                continue
            claim = str(uuid.uuid4())
            webhook = unit.webhooks.by_uid(uid)
            if webhook is not None and unit.deliveries.claim(delivery, claim, now + CLAIM):
                taken[uid] = taken.get(uid, 0) + 1
                claimed.append(Claimed(delivery, webhook, claim, now))
        return claimed

    def settle(self, claimed: Claimed, attempt: Attempt) -> Delivery | None:
        """The delivery after an attempt; None when somebody else has it by now, or its webhook is gone.

        Raises: DATABASE_UNAVAILABLE.
        """
        failpoint("webhook.sent")
        uid = claimed.webhook.uid
        jitter = self.jitter()

        def work(unit: Unit) -> Delivery | None:
            if unit.webhooks.lock_uid(uid) is None:
                return None
            after = judged(claimed.delivery, attempt, unit.now, jitter)
            if not unit.deliveries.settle(after, claimed.claim):
                return None
            unit.webhooks.note(uid, success_time=unit.now if attempt.succeeded else None, error=attempt.error)
            if after.state is not DeliveryState.PENDING:
                unit.deliveries.raise_heads(uid, {after.lane}, unit.now)
            if attempt.gone:
                self.disable(unit, uid, GONE)
            return after

        call: Call[Delivery | None] = Call(principal=SYSTEM, method="system.DisableWebhook")
        return self.store.write(work, call if attempt.gone else None).get()

    def age_s(self) -> float:
        """How long ago the event of the oldest delivery that waits was committed, seconds; 0 when none waits.

        Raises: DATABASE_UNAVAILABLE.
        """

        def work(reader: Reader) -> float:
            oldest = reader.deliveries.oldest_pending()
            return 0.0 if oldest is None else max(0.0, (reader.now - oldest).total_seconds())

        return self.store.read(work)


def judged(delivery: Delivery, attempt: Attempt, now: datetime, jitter: float) -> Delivery:
    """The delivery after an attempt that ended `now`; `jitter` is a random number of 0 to 1."""
    tries = delivery.tries + 1
    tried = replace(delivery, attempts=(*delivery.attempts, attempt)[-MAX_KEPT_ATTEMPTS:], tries=tries)
    if attempt.succeeded:
        return replace(tried, state=DeliveryState.DELIVERED, next_attempt_time=None, end_time=now)
    pause = None if attempt.gone else pause_after(tries, attempt, jitter)
    if pause is None:
        return replace(tried, state=DeliveryState.DEAD, next_attempt_time=None, end_time=now)
    return replace(tried, next_attempt_time=now + pause)
