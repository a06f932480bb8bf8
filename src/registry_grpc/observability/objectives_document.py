"""Reads the objectives: `slo/registry.yaml`, of which the server and `mreg slo` have a copy in the package.

Standard library only: the command line has no server beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from registry_grpc.observability.objectives import (
    Alert,
    BurnAlert,
    CounterSource,
    HistogramSource,
    Objective,
    Objectives,
    Span,
)

SHIPPED = "objectives.json"
"""Beside this file; written by `scripts/slo`."""
SEVERITIES = ("page", "ticket")
SHOWN = ("number", "percentage", "duration")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]*)([smhd])")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_ALERT = re.compile(r"[A-Z][A-Za-z0-9]*")
_METRIC = re.compile(r"[a-z][a-z0-9_]*")


class ObjectivesError(ValueError):
    """The document says something it must not; the text says where, what, and what it may say."""


def shipped() -> Objectives:
    """The objectives of this release."""
    return parse(json.loads(files("registry_grpc.observability").joinpath(SHIPPED).read_text()))


def parse(document: object) -> Objectives:
    """The objectives that a YAML or JSON document states.

    Raises: ObjectivesError.
    """
    top = _Table(document, "")
    found = Objectives(
        service=top.name("service", _NAME),
        period=top.span("period"),
        runbooks=top.text("runbooks").rstrip("/"),
        least_bad=top.whole("least_bad"),
        burn_alerts=tuple(_burn_alert(each) for each in top.tables("burn_alerts")),
        objectives=tuple(_objective(each) for each in top.tables("objectives")),
        alerts=tuple(_alert(each) for each in top.tables("alerts")),
    )
    top.done()
    _require_distinct("objectives", "name", [each.name for each in found.objectives])
    _require_distinct(
        "alerts", "name", [each.alert for each in found.objectives] + [each.name for each in found.alerts]
    )
    for at, burn in enumerate(found.burn_alerts):
        if not burn.short.seconds < burn.long.seconds < found.period.seconds:
            raise ObjectivesError(
                f"burn_alerts[{at}]: short {burn.short.text}, long {burn.long.text} and period {found.period.text} "
                "must each be longer than the one before"
            )
    return found


def _objective(table: _Table) -> Objective:
    target = table.number("target")
    if not 0 < target < 100:  # noqa: PLR2004 -- percent
        raise ObjectivesError(f"{table.at('target')} is {target:g}; give a percentage above 0 and below 100")
    sources = [table.table(kind) for kind in ("counter", "histogram") if kind in table]
    if len(sources) != 1:
        raise ObjectivesError(f"{table.path}: give one of counter and histogram, not {len(sources)}")
    made = Objective(
        name=table.name("name", _NAME),
        alert=table.name("alert", _ALERT),
        # 99.95 / 100 is 0.9995000000000001.
        target=round(target / 100, 9),
        summary=table.text("summary"),
        source=_counter(sources[0]) if "counter" in table else _histogram(sources[0]),
    )
    table.done()
    return made


def _counter(table: _Table) -> CounterSource:
    made = CounterSource(table.name("metric", _METRIC), table.text("where", empty=True), table.text("bad"))
    table.done()
    return made


def _histogram(table: _Table) -> HistogramSource:
    bounds = {name: table.number(name) if name in table else None for name in ("at_most", "at_least")}
    if sum(bound is not None for bound in bounds.values()) != 1:
        raise ObjectivesError(f"{table.path}: give one of at_most and at_least")
    made = HistogramSource(table.name("metric", _METRIC), table.text("where", empty=True), **bounds)
    table.done()
    return made


def _burn_alert(table: _Table) -> BurnAlert:
    made = BurnAlert(
        severity=table.choice("severity", SEVERITIES),
        long=table.span("long"),
        short=table.span("short"),
        factor=table.number("factor"),
    )
    table.done()
    return made


def _alert(table: _Table) -> Alert:
    made = Alert(
        name=table.name("name", _ALERT),
        severity=table.choice("severity", SEVERITIES),
        summary=table.text("summary"),
        lasting=table.span("for") if "for" in table else None,
        shown=table.choice("shown", SHOWN) if "shown" in table else "number",
        expr=table.text("expr"),
    )
    table.done()
    return made


def _require_distinct(where: str, what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ObjectivesError(f"{where}: {what} {', '.join(twice)} is given twice; each must be unique")


class _Table:
    """One mapping of the document; remembers what was asked of it, so that what nobody asked for is an error."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise ObjectivesError(f"{path or 'the document'} is {_shown(value)}; give a mapping")
        self._values: Mapping[str, Any] = value
        self.path = path
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def at(self, key: str) -> str:
        """Where `key` stands, for people."""
        return f"{self.path}.{key}" if self.path else key

    def done(self) -> None:
        """Raises: ObjectivesError, when something was never asked for."""
        unknown = sorted(set(self._values) - self._asked)
        if unknown:
            raise ObjectivesError(f"{self.at(unknown[0])} is not known; there are {', '.join(sorted(self._asked))}")

    def _value(self, key: str) -> Any:  # noqa: ANN401 -- whatever the document holds
        self._asked.add(key)
        if key not in self._values:
            raise ObjectivesError(f"{self.at(key)} is missing")
        return self._values[key]

    def text(self, key: str, *, empty: bool = False) -> str:
        value = self._value(key)
        if not isinstance(value, str) or not (value.strip() or empty):
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; give a text")
        return value

    def name(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; it must match {pattern.pattern}")
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.text(key)
        if value not in choices:
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; give one of {', '.join(choices)}")
        return value

    def number(self, key: str) -> float:
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; give a number above 0")
        return float(value)

    def whole(self, key: str) -> int:
        value = self.number(key)
        if value != int(value):
            raise ObjectivesError(f"{self.at(key)} is {value:g}; give a whole number")
        return int(value)

    def span(self, key: str) -> Span:
        value = self.text(key)
        found = _DURATION.fullmatch(value)
        if not found:
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; give a time such as 30s, 5m, 6h or 30d")
        return Span(value, int(found[1]) * _UNITS_S[found[2]])

    def table(self, key: str) -> _Table:
        return _Table(self._value(key), self.at(key))

    def tables(self, key: str) -> Sequence[_Table]:
        value = self._value(key)
        if not isinstance(value, list) or not value:
            raise ObjectivesError(f"{self.at(key)} is {_shown(value)}; give a list that is not empty")
        return [_Table(each, f"{self.at(key)}[{at}]") for at, each in enumerate(value)]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 -- enough to find it
