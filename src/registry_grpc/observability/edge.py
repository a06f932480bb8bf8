"""What the edge reports of itself, turned into metrics: its loop, its certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_grpc.observability.metrics import Metrics


class EdgeReport:
    """Called from any thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._lag = metrics.event_loop_lag_seconds
        self._stalls = metrics.event_loop_stalls
        self._failures = metrics.certificate_reload_failures
        self._expiry = metrics.certificate_expiry_seconds

    def loop_lagged(self, seconds: float) -> None:
        """The loop last ran, or has still not run, this much too late."""
        self._lag.set(seconds)

    def loop_stalled(self) -> None:
        """It was found stuck."""
        self._stalls.inc()

    def certificate_loaded(self, expires: float) -> None:
        """A certificate is in force that ends at `expires`, seconds since the epoch."""
        self._expiry.set(expires)

    def certificate_failed(self) -> None:
        """Changed files could not be used."""
        self._failures.inc()
