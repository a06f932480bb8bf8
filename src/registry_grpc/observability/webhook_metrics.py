"""What becomes of deliveries to webhooks, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_grpc.observability.metrics import Metrics

OUTCOMES = ("delivered", "retried", "dead")


class WebhookCounts:
    """Implements `webhooks.worker.Observer`."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._count = {outcome: metrics.webhook_attempts.labels(outcome).inc for outcome in OUTCOMES}
        self._delay = metrics.webhook_delay_seconds.observe
        self._age = metrics.webhook_outbox_age_seconds.set

    def attempted(self, outcome: str, delay_s: float | None) -> None:
        """One attempt; `delay_s` from the commit of the event, when it was delivered."""
        self._count[outcome]()
        if delay_s is not None:
            self._delay(delay_s)

    def waiting(self, age_s: float) -> None:
        """How old the oldest event that waits is; 0 where nothing is delivered from."""
        self._age(age_s)
