"""From what a filter says to what it asks: fields are looked up, and values are read as their kind."""

from __future__ import annotations

import difflib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind, MetricKey
from registry_grpc.domain.filters.fields import OTHER_NAMES, Field, Shape
from registry_grpc.domain.filters.language import parse_filter
from registry_grpc.domain.filters.tree import Operator, Tree, invalid_filter, mapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.filters.conditions import Operand
    from registry_grpc.domain.filters.tree import Literal, Restriction, Subject

_ORDERED = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST})
_COMPARISONS: dict[Operator, Comparison] = {
    operator: Comparison(operator.value) for operator in Operator if operator is not Operator.HAS
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TRUTHS = {"true": True, "false": False}
_METRIC_ARGUMENTS = range(1, 4)


def read_filter(text: str, fields: Mapping[str, Field], *, field: str = "filter") -> Tree[Condition]:
    """The typed conditions of a filter over `fields`; `field` is where it stands in the request.

    Raises: INVALID_FILTER, which names the column.
    """
    return mapped(parse_filter(text, field=field), lambda one: _Reader(fields, field).condition(one))


class _Reader:
    """Types one restriction."""

    def __init__(self, fields: Mapping[str, Field], place: str) -> None:
        self._fields = fields
        self._place = place

    def condition(self, said: Restriction) -> Condition:
        """Raises: INVALID_FILTER."""
        subject = said.subject
        if subject.arguments is not None:
            return self._metric(said)
        field, key = self._field(subject)
        if said.operator is None or said.value is None:
            if field.kind is not Kind.FLAG:
                self._refuse(subject.column, f"{subject.shown} is not true or false; compare it with a value")
            return Condition(field.name, Kind.FLAG, Comparison.EQUAL, operand=True)
        return self._compared(field, key, said.operator, said.value)

    def _compared(self, field: Field, key: str | MetricKey | None, operator: Operator, value: Literal) -> Condition:
        keyed = field.shape in {Shape.KEYED, Shape.METRICS, Shape.PARAMETERS}
        if operator is Operator.HAS and value.prefix and not value.text and not (keyed and key is None):
            return Condition(field.name, field.kind, Comparison.PRESENT, key=key)
        if keyed and key is None:
            if operator is not Operator.HAS:
                self._refuse(value.column, f"name one of the {field.name}, as in {field.name}.NAME; or ask with ':'")
            return Condition(field.name, Kind.TEXT, *self._text(field, Operator.EQUAL, value))
        if field.shape is Shape.PARAMETERS:
            kind = _kind_of(value)
            return Condition(field.name, kind, *self._operand(field, kind, operator, value), key=key)
        return Condition(field.name, field.kind, *self._operand(field, field.kind, operator, value), key=key)

    def _operand(self, field: Field, kind: Kind, operator: Operator, value: Literal) -> tuple[Comparison, Operand]:
        if kind is Kind.TEXT:
            return self._text(field, operator, value)
        if value.prefix:
            self._refuse(value.column, f"{field.name} is no text; a star means nothing here")
        comparison = _COMPARISONS.get(operator, Comparison.EQUAL)
        if kind is Kind.NUMBER:
            return comparison, self._number(value)
        if kind is Kind.TIME:
            return comparison, self._time(value)
        if operator in _ORDERED or value.text.lower() not in _TRUTHS:
            self._refuse(value.column, f"{field.name} is true or false")
        return comparison, _TRUTHS[value.text.lower()]

    def _text(self, field: Field, operator: Operator, value: Literal) -> tuple[Comparison, str]:
        if operator in _ORDERED:
            self._refuse(value.column, f"{field.name} is text, which is not ordered; use = != or :")
        text = value.text
        if field.words and not value.prefix:
            text = text.lower()
            if text not in field.words:
                self._refuse(value.column, f"{field.name} is one of {', '.join(sorted(field.words))}")
        if operator is Operator.UNEQUAL:
            return (Comparison.NOT_BEGINS if value.prefix else Comparison.UNEQUAL), text
        if value.prefix:
            return Comparison.BEGINS, text
        if operator is Operator.HAS and field.shape is Shape.ONE and not field.words:
            return Comparison.CONTAINS, text
        return Comparison.EQUAL, text

    def _number(self, value: Literal) -> float:
        if not _NUMBER.fullmatch(value.text):
            self._refuse(value.column, f"{value.text!r} is no number")
        number = float(value.text)
        if not math.isfinite(number):
            self._refuse(value.column, f"{value.text} is more than a double holds")
        return number

    def _time(self, value: Literal) -> datetime:
        try:
            found = datetime.fromisoformat(value.text)
        except ValueError:
            self._refuse(value.column, f'{value.text!r} is no time; write "2026-01-31T12:00:00Z" or "2026-01-31"')
        if found.tzinfo is None:
            if len(value.text) > len("2026-01-31"):
                self._refuse(value.column, f"{value.text!r} has no zone; end it with Z or +01:00")
            found = found.replace(tzinfo=UTC)
        return found.astimezone(UTC)

    def _metric(self, said: Restriction) -> Condition:
        """`metric("auc", "q3@2026-09", "country=DE") > 0.9`."""
        subject = said.subject
        arguments = subject.arguments or ()
        if subject.path != ("metric",) or "metrics" not in self._fields:
            self._refuse(subject.column, f"there is no function {subject.path[0]!r} here; metric(…) of versions is")
        if len(arguments) not in _METRIC_ARGUMENTS:
            self._refuse(
                subject.column, "metric takes a name, a data set as name@version, and a slice; the first must be"
            )
        if said.operator is None or said.value is None:
            self._refuse(subject.column, "compare the metric with a number, or ask with ':*' whether there is one")
        name, data, part = (*(each.text for each in arguments), "", "")[:3]
        dataset, _, version = data.partition("@") if data.count("@") <= 1 else data.rpartition("@")
        key = MetricKey(name, dataset or None, version or None, part)
        return self._compared(self._fields["metrics"], key, said.operator, said.value)

    def _field(self, subject: Subject) -> tuple[Field, str | MetricKey | None]:
        """The field and the key in it. The longest name that is known wins."""
        for length in range(len(subject.path), 0, -1):
            written = ".".join(subject.path[:length])
            field = self._fields.get(OTHER_NAMES.get(written, written))
            if field is None:
                continue
            rest = ".".join(subject.path[length:])
            if not rest:
                return field, None
            if field.shape is Shape.METRICS:
                return field, MetricKey(rest)
            if field.shape in {Shape.KEYED, Shape.PARAMETERS}:
                return field, rest
            break
        near = difflib.get_close_matches(subject.shown, self._fields, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise invalid_filter(subject.column, f"there is no field {subject.shown!r}{hint}", field=self._place)

    def _refuse(self, column: int, what: str) -> NoReturn:
        """Raises: INVALID_FILTER."""
        raise invalid_filter(column, what, field=self._place)


def _kind_of(value: Literal) -> Kind:
    """A parameter is compared as what it is compared with: quoted is text."""
    if value.quoted or value.prefix:
        return Kind.TEXT
    if value.text.lower() in _TRUTHS:
        return Kind.FLAG
    return Kind.NUMBER if _NUMBER.fullmatch(value.text) else Kind.TEXT
