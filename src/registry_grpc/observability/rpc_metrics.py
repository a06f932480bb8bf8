"""Metrics of calls, under the names the gRPC ecosystem's dashboards know.

Label children are bound once per method: looking them up per call costs a fifth of the throughput.
"""

from __future__ import annotations

from typing import NamedTuple

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LABELS = ("grpc_type", "grpc_service", "grpc_method")
SECONDS_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0),
)
"""Every latency objective is a bucket bound (0.1 and 0.5)."""
TYPES = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
CODE_NAMES = {
    code: "OK" if code is grpc.StatusCode.OK else code.name.title().replace("_", "") for code in grpc.StatusCode
}
"""As go-grpc writes them: `InvalidArgument`."""


class MethodMetrics(NamedTuple):
    """The children of one method."""

    started: Counter
    handled: dict[grpc.StatusCode, Counter]
    received: Counter
    sent: Counter
    seconds: Histogram
    in_flight: Gauge


class RpcMetrics:
    """All metrics of calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter(
            "grpc_server_started",
            "Calls started on the server.",
            LABELS,
            registry=registry,
        )
        self._handled = Counter(
            "grpc_server_handled",
            "Calls completed on the server, whatever the outcome.",
            (*LABELS, "grpc_code"),
            registry=registry,
        )
        self._received = Counter(
            "grpc_server_msg_received",
            "Messages received from clients.",
            LABELS,
            registry=registry,
        )
        self._sent = Counter("grpc_server_msg_sent", "Messages sent to clients.", LABELS, registry=registry)
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from the arrival of a call to its end.",
            LABELS,
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "registry_grpc_in_flight",
            "Calls being handled.",
            ("grpc_type",),
            multiprocess_mode="livesum",
            registry=registry,
        )

    def method(self, service: str, method: str, *, client_streams: bool, server_streams: bool) -> MethodMetrics:
        """The children of a method, all at 0 with the first call, so that rates have a beginning."""
        kind = TYPES[client_streams, server_streams]
        labels = (kind, service, method)
        return MethodMetrics(
            started=self._started.labels(*labels),
            handled={code: self._handled.labels(*labels, name) for code, name in CODE_NAMES.items()},
            received=self._received.labels(*labels),
            sent=self._sent.labels(*labels),
            seconds=self._seconds.labels(*labels),
            in_flight=self._in_flight.labels(kind),
        )
