"""What the registry promises its users, and the arithmetic of it. `objectives_document` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A time as Prometheus writes it: `30d`, `5m`."""

    text: str
    seconds: int


@dataclass(frozen=True, slots=True)
class CounterSource:
    """Events are counted; `bad` picks the bad ones among those of `where`."""

    metric: str
    where: str
    bad: str


@dataclass(frozen=True, slots=True)
class HistogramSource:
    """Events are measured; good are those up to, or above, a bound, which is one of the histogram's buckets."""

    metric: str
    where: str
    at_most: float | None
    at_least: float | None


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise about the part of events that are good."""

    name: str
    alert: str
    target: float
    """The part, above 0 and below 1."""
    summary: str
    source: CounterSource | HistogramSource

    @property
    def budget(self) -> float:
        """The part of events that may be bad."""
        return 1.0 - self.target


@dataclass(frozen=True, slots=True)
class BurnAlert:
    """When a budget that is spent too fast calls somebody."""

    severity: str
    long: Span
    short: Span
    factor: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that is no rate of failures."""

    name: str
    severity: str
    summary: str
    lasting: Span | None
    """How long it must hold."""
    shown: str
    """How its value is written for people, one of `SHOWN`."""
    expr: str


@dataclass(frozen=True, slots=True)
class Objectives:
    """All of it."""

    service: str
    period: Span
    runbooks: str
    least_bad: int
    """With fewer bad events in the long window nobody is called."""
    burn_alerts: Sequence[BurnAlert]
    objectives: Sequence[Objective]
    alerts: Sequence[Alert]

    @property
    def windows(self) -> Sequence[Span]:
        """Over which failures are counted, shortest first, the period last."""
        spans = {span.seconds: span for burn in self.burn_alerts for span in (burn.long, burn.short)}
        return (*(spans[seconds] for seconds in sorted(spans)), self.period)


def burn_rate(bad_ratio: float, target: float) -> float:
    """How many times as fast as it may the budget is spent while `bad_ratio` of events are bad."""
    return bad_ratio / (1.0 - target)


def budget_left(bad_ratio: float, target: float) -> float:
    """The part of the budget that is left when `bad_ratio` of a period's events were bad; negative: overspent."""
    return 1.0 - burn_rate(bad_ratio, target)
