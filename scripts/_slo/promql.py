"""PromQL of an objective. The rates are recorded once; every window is a sum over what was recorded.

So the ratio over 30 days costs 30 days of two series, not of a thousand, and weighs each event the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.utils import floatToGoString

from registry_grpc.observability.objectives import CounterSource, HistogramSource, Objective, Span

TOTAL = "registry_slo:total:rate5m"
BAD = "registry_slo:bad:rate5m"
RATIO = "registry_slo:bad_ratio"
TARGET = "registry_slo:target"
BURN = "registry_slo:burn_rate"
LEFT = "registry_slo:budget_left"
RATE = Span("5m", 300)
EVALUATION = Span("30s", 30)


@dataclass(frozen=True)
class Pace:
    """How long a minute is: tests let an hour pass in one."""

    scale: int = 1

    def span(self, span: Span) -> str:
        """A time as Prometheus reads it."""
        return span.text if self.scale == 1 else f"{span.seconds * 1000 // self.scale}ms"


def total(objective: Objective, window: str) -> str:
    """All events a second."""
    source = objective.source
    suffix = "" if isinstance(source, CounterSource) else "_count"
    return f"sum(rate({source.metric}{suffix}{_matchers(source.where)}[{window}]))"


def bad(objective: Objective, window: str) -> str:
    """Bad events a second; 0 where there are events and none of them is bad."""
    source = objective.source
    if isinstance(source, CounterSource):
        found = f"sum(rate({source.metric}{_matchers(source.where, source.bad)}[{window}]))"
        return f"{found} or 0 * {total(objective, window)}"
    if source.at_least is not None:
        return _within(source, source.at_least, window)
    return f"{total(objective, window)} - {_within(source, source.at_most or 0.0, window)}"


def _within(source: HistogramSource, bound: float, window: str) -> str:
    le = f'le="{floatToGoString(bound)}"'  # type: ignore[no-untyped-call]
    return f"sum(rate({source.metric}_bucket{_matchers(source.where, le)}[{window}]))"


def _matchers(*parts: str) -> str:
    given = ", ".join(part for part in parts if part)
    return f"{{{given}}}" if given else ""
