"""A search of the catalogue: where, for what, and in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_field, shortened
from registry_grpc.domain.filters.conditions import Condition, Kind, MetricKey
from registry_grpc.domain.filters.fields import OTHER_NAMES, Shape
from registry_grpc.domain.filters.tree import And, Tree
from registry_grpc.domain.filters.words import MAX_QUERY_CHARS, MAX_QUERY_WORDS, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.filters.fields import Field

MAX_ORDERS = 5
MAX_FACETS = 10
MAX_TIE_BREAKS = 5
FACET_VALUES = 20
_ORDER = re.compile(r"(?P<field>\S+)(?:\s+(?P<way>asc|desc))?")
_ORDERED_VERSIONS = frozenset(
    {"name", "number", "create_time", "update_time", "finalize_time", "total_size_bytes", "relevance"}
)
_ORDERED_MODELS = frozenset({"name", "create_time", "update_time", "relevance"})
_NO_FACETS = frozenset({"description", "manifest_digest", "number", "display_name"})


ANYTHING: Tree[Condition] = And(())
"""What an empty filter asks for."""


@dataclass(frozen=True, slots=True)
class Visible:
    """What may be searched."""

    everywhere: bool = False
    projects: frozenset[str] = frozenset()
    """Those that are seen whole."""
    models: frozenset[tuple[str, str]] = frozenset()
    """Project and model of those that are seen alone."""

    def also(self, other: Visible) -> Visible:
        """What is seen here and there."""
        if self.everywhere or other.everywhere:
            return other if self.everywhere else self
        models = {place for place in self.models if other.has(*place)} | {
            place for place in other.models if self.has(*place)
        }
        return Visible(projects=self.projects & other.projects, models=frozenset(models))

    def has(self, project: str, model: str) -> bool:
        """Whether the model is among it."""
        return self.everywhere or project in self.projects or (project, model) in self.models


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order."""

    field: str
    descending: bool = False
    metric: MetricKey | None = None
    """Of `metrics`: the highest of its values when descending, else the lowest."""


@dataclass(frozen=True, slots=True)
class Facet:
    """A field whose values are to be counted."""

    shown: str
    """As it was asked for."""
    field: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched for."""

    visible: Visible
    conditions: Tree[Condition] = ANYTHING
    words: tuple[str, ...] = ()
    """Beginnings of words, all of which must occur."""
    order: tuple[Order, ...] = ()
    """Name, at the end of every order, is left out."""
    show_deleted: bool = False


def read_query(text: str) -> tuple[str, ...]:
    """The words of a free text query.

    Raises: INVALID_FIELD for one without any, or with too many.
    """
    if not text.strip():
        return ()
    if len(text) > MAX_QUERY_CHARS:
        raise invalid_field("query", f"has {len(text)} characters; at most {MAX_QUERY_CHARS} are searched for")
    words = words_of(text)
    if not words or len(words) > MAX_QUERY_WORDS:
        raise invalid_field("query", f"has {len(words)} words; must have 1 to {MAX_QUERY_WORDS}, of letters or digits")
    return tuple(words)


def read_version_order(text: str, words: tuple[str, ...]) -> tuple[Order, ...]:
    """The order of versions; with words the best matches come first unless something else is said.

    Raises: INVALID_ORDER_BY.
    """
    return _orders(text, words, _ORDERED_VERSIONS, metrics=True)


def read_model_order(text: str, words: tuple[str, ...]) -> tuple[Order, ...]:
    """The order of models. Raises: INVALID_ORDER_BY."""
    return _orders(text, words, _ORDERED_MODELS, metrics=False)


def read_facets(names: tuple[str, ...], fields: Mapping[str, Field]) -> tuple[Facet, ...]:
    """The fields to count. Raises: INVALID_FIELD."""
    if len(names) > MAX_FACETS:
        raise invalid_field("facets", f"names {len(names)} fields; at most {MAX_FACETS} are counted")
    return tuple(_facet(name, fields) for name in names)


def _facet(name: str, fields: Mapping[str, Field]) -> Facet:
    field = fields.get(OTHER_NAMES.get(name, name))
    key = ""
    if field is None:
        head, _, key = name.partition(".")
        field = fields.get(OTHER_NAMES.get(head, head))
        if field is not None and field.shape is not Shape.KEYED:
            field = None
    counted = field is not None and field.kind is Kind.TEXT and field.name not in _NO_FACETS
    if field is None or not counted or field.shape in {Shape.PARAMETERS, Shape.METRICS}:
        raise invalid_field("facets", f"{shortened(name, 80)!r} cannot be counted; docs/catalogue.md lists what can")
    return Facet(name, field.name, key)


def _orders(text: str, words: tuple[str, ...], known: frozenset[str], *, metrics: bool) -> tuple[Order, ...]:
    if not text.strip():
        return (Order("relevance"),) if words else ()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MAX_ORDERS:
        raise _refused(text, f"at most {MAX_ORDERS} fields")
    orders: list[Order] = []
    for part in parts:
        order = _order_of(part, known, metrics=metrics)
        if order.field == "relevance" and (not words or order.descending):
            raise _refused(part, "relevance, best first, needs a query")
        if any(order.field == each.field and order.metric == each.metric for each in orders):
            raise _refused(part, "each field once")
        orders.append(order)
        if order.field == "name":
            # Names are unique: what follows would never be asked.
            break
    return tuple(orders) if orders[-1:] != [Order("name")] else tuple(orders[:-1])


def _order_of(part: str, known: frozenset[str], *, metrics: bool) -> Order:
    match = _ORDER.fullmatch(part)
    field, descending = (match["field"], match["way"] == "desc") if match else ("", False)
    prefix, _, metric = field.partition(".")
    if metrics and prefix == "metrics" and metric:
        return Order("metrics", descending, MetricKey(metric))
    if field not in known:
        more = ", metrics.NAME" if metrics else ""
        raise _refused(part, f"one of {', '.join(sorted(known))}{more}, with ` desc` or without")
    return Order(field, descending)


def _refused(text: str, expected: str) -> RegistryError:
    shown = shortened(text, 100)
    return RegistryError(
        Reason.INVALID_ORDER_BY,
        f"order_by: found {shown!r}, expected {expected}",
        violations=(Violation("order_by", f"found {shown!r}, expected {expected}"),),
        field=shown,
    )
