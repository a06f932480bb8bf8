"""Conditions on what is kept as rows beside a version or model: rows that must exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Column, ColumnElement, literal, select

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind, MetricKey
from registry_grpc.domain.filters.fields import VERSION_FIELDS, Shape
from registry_grpc.storage.sql.search.matching import ORDER, long_text_matches, text_matches, unindexed
from registry_grpc.storage.sql.tables import model as model_table
from registry_grpc.storage.sql.tables import model_term, version_metric, version_term
from registry_grpc.storage.sql.tables import version as version_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Select, Table

Bool = ColumnElement[bool]
_SINGLE = frozenset({Shape.ONE, Shape.MANY})


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table that satisfy a condition."""

    table: Table
    uid: ColumnElement[str]
    """Whose rows they are."""
    owner: Column[str]
    """The column they are tied to: `uid` of the version or model."""
    predicates: Callable[[Mapping[str, ColumnElement[Any]]], Sequence[Bool]]
    """What a row must satisfy, asked of its columns by name."""

    def exist(self, *, one_by_one: bool = False) -> Bool:
        """Whether a version or model has one: it is looked for among those of the version, of which there are few.

        `one_by_one`: for each version by itself. PostgreSQL would rather read the rows of all versions first; it takes
        OFFSET as a reason not to.
        """
        columns = {column.key: unindexed(column) for column in self.table.c}
        mine = select(literal(1)).select_from(self.table).where(self.uid == self.owner, *self.predicates(columns))
        mine = mine.correlate(self.owner.table)
        return (mine.offset(0) if one_by_one else mine).exists()

    def of_all(self, projects: ColumnElement[bool]) -> Select[Any]:
        """Whose each row is, found along the index of values: somebody with several rows comes several times."""
        return select(self.uid).where(projects, *self.predicates(dict(self.table.c.items())))

    def owners(self, projects: ColumnElement[bool]) -> Select[Any]:
        """Whose rows there are, each once."""
        return self.of_all(projects).distinct()


def rows_of_version(one: Condition) -> Rows:
    """The rows for a condition on a field of versions that is no column."""
    table = version_metric if one.field == "metrics" else version_term
    ask = _metric if one.field == "metrics" else _term
    return Rows(table, table.c.version_uid, version_table.c.uid, lambda columns: ask(one, columns))


def rows_of_model(one: Condition) -> Rows:
    """The rows for a condition on a field of models that is no column."""
    return Rows(model_term, model_term.c.model_uid, model_table.c.uid, lambda columns: _term(one, columns))


def _term(one: Condition, columns: Mapping[str, ColumnElement[Any]]) -> list[Bool]:
    operand = one.operand
    wanted = [columns["field"] == one.field]
    if VERSION_FIELDS[one.field].shape in _SINGLE:
        wanted.append(columns["key"] == "")
    elif one.key is None:
        return [*wanted, text_matches(columns["key"], one.comparison, cast("str", operand or ""))]
    else:
        wanted.append(columns["key"] == one.key)
    if one.comparison is Comparison.PRESENT and one.field in {"parameters", "executable"}:
        return wanted
    if one.kind is not Kind.TEXT:
        column = columns["flag" if one.kind is Kind.FLAG else "number"]
        return [*wanted, column.is_not(None), ORDER[one.comparison](column, operand)]
    text, whole = columns["text"], columns["long_text"]
    return [*wanted, text.is_not(None), long_text_matches(text, whole, one.comparison, cast("str", operand or ""))]


def _metric(one: Condition, columns: Mapping[str, ColumnElement[Any]]) -> list[Bool]:
    key = one.key
    if not isinstance(key, MetricKey):
        return [text_matches(columns["name"], one.comparison, cast("str", one.operand or ""))]
    wanted = [columns["name"] == key.name, columns["slice"] == key.slice]
    wanted += [columns["dataset"] == key.dataset] if key.dataset is not None else []
    wanted += [columns["dataset_version"] == key.dataset_version] if key.dataset_version is not None else []
    if one.comparison is Comparison.PRESENT:
        return wanted
    return [*wanted, columns["value"].is_not(None), ORDER[one.comparison](columns["value"], one.operand)]
