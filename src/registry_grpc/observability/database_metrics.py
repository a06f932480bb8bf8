"""What the database takes, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_grpc.observability.metrics import Metrics

OPERATIONS = ("read", "write")


class DatabaseCounts:
    """Implements `ports.store.WorkObserver`."""

    def __init__(self, metrics: Metrics) -> None:
        """Every child exists from the start."""
        self._seconds = {op: metrics.db_seconds.labels(op).observe for op in OPERATIONS}
        self._in_use = metrics.db_pool_connections.labels("in_use").set
        self._idle = metrics.db_pool_connections.labels("idle").set

    def worked(self, operation: str, seconds: float, in_use: int, idle: int) -> None:
        """One unit of work, and the connections there are after it."""
        self._seconds[operation](seconds)
        self._in_use(in_use)
        self._idle(idle)
