"""What a filter asks, typed: every leaf is one comparison that some value of a field must satisfy.

Two-valued throughout: what has no value satisfies no comparison, `!=` included, and NOT of that is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Operand = str | float | bool | datetime


class Kind(StrEnum):
    """What values of a field are."""

    TEXT = "text"
    NUMBER = "number"
    """A double. Values that are not finite are none: they satisfy nothing."""
    TIME = "time"
    FLAG = "flag"


class Comparison(StrEnum):
    """How a value is compared with the operand."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    BEGINS = "begins"
    """A text begins with it."""
    NOT_BEGINS = "not begins"
    CONTAINS = "contains"
    """A text has it in it, letter by letter."""
    PRESENT = "present"
    """There is a value, and a text is not empty."""


@dataclass(frozen=True, slots=True)
class MetricKey:
    """Which of the metrics of a version are meant: the newest value of each data set, version of it, and slice."""

    name: str
    dataset: str | None = None
    """None for any."""
    dataset_version: str | None = None
    slice: str = ""
    """Empty for all of the data."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Some value of a field satisfies a comparison."""

    field: str
    """As in `fields.VERSION_FIELDS` or `MODEL_FIELDS`."""
    kind: Kind
    comparison: Comparison
    operand: Operand | None = None
    """None for PRESENT."""
    key: str | MetricKey | None = None
    """Of a field with keys; None for a field without, and where the keys themselves are compared."""
