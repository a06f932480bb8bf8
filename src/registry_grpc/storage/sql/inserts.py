"""Rows whose insertion nobody waits for, in one statement where a statement costs a round trip.

The rows that end a write are inserted while every other writer waits for the head of the log. PostgreSQL takes them
together, by data-modifying WITH clauses; SQLite, in our own process, gains nothing by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Insert, Table, bindparam, column, func, insert, select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    Row = tuple["Table | Listed", Mapping[str, Any]]
    Shape = tuple["Table | Listed", tuple[str, ...]]
    """What a row is of, and which values it has."""


AT_ONCE = 8
"""Most rows of one statement: each sequence of tables is another one to compile and prepare."""
_SHARED = {
    **{name: name for name in ("project", "model", "revision", "actor", "method", "request_id", "uid", "number")},
    **dict.fromkeys(("time", "create_time", "update_time"), "time"),
    "version_uid": "uid",
    "version_number": "number",
}
"""Columns that say the same in all rows of a write, bound once: psycopg parses a statement of more than 50
parameters anew at every call. For the same reason NULL is no parameter."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Any number of rows of one table, on PostgreSQL: `rows` is a JSON list of all columns that are not `shared`."""

    table: Table
    shared: tuple[str, ...]
    """Columns that say the same in all of the rows; they are values beside `rows`."""


def joins_rows(connection: Connection) -> bool:
    """Whether it pays to hold rows back for `insert_rows`."""
    return connection.dialect.name == "postgresql"


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert `rows`, each with a value for every column of its table."""
    together = _bound(rows) if joins_rows(connection) and 1 < len(rows) <= AT_ONCE else None
    if together is not None:
        connection.execute(_together(tuple(map(_shape, rows))), together)
        return
    for kind, group in groupby(rows, key=itemgetter(0)):
        same = [row for _, row in group]
        connection.execute(_alone(kind), same if len(same) > 1 else same[0])


def _shape(row: Row) -> Shape:
    kind, values = row
    return kind, tuple(name for name, value in values.items() if value is not None)


def _bound(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The parameters of `_together`; None when a shared column differs after all."""
    values: dict[str, Any] = {}
    for at, (_, row) in enumerate(rows):
        for name, value in row.items():
            if value is not None and values.setdefault(_parameter(name, at), value) != value:
                return None
    return values


def _parameter(name: str, at: int) -> str:
    return _SHARED.get(name) or f"{name}_{at}"


@cache
def _alone(kind: Table | Listed) -> Insert:
    return insert(kind) if isinstance(kind, Table) else _listed(kind, str)


@cache
def _together(shapes: tuple[Shape, ...]) -> Insert:
    *others, last = (_one(shape, at) for at, shape in enumerate(shapes))
    return last.add_cte(*(one.cte(f"row_{at}") for at, one in enumerate(others)))


def _one(shape: Shape, at: int) -> Insert:
    kind, names = shape
    if isinstance(kind, Listed):
        return _listed(kind, lambda name: _parameter(name, at))
    return insert(kind).values({name: bindparam(_parameter(name, at), type_=kind.c[name].type) for name in names})


def _listed(kind: Listed, parameter: Callable[[str], str]) -> Insert:
    told = [each for each in kind.table.c if each.name not in kind.shared]
    rows = (
        func.json_to_recordset(bindparam(parameter("rows"), type_=JSON))
        .table_valued(*(column(each.name, each.type) for each in told))
        .render_derived(with_types=True)
    )
    shared = (bindparam(parameter(name), type_=kind.table.c[name].type) for name in kind.shared)
    names = [*kind.shared, *(each.name for each in told)]
    return insert(kind.table).from_select(names, select(*shared, *rows.c))
