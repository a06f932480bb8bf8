"""Rows whose insertion nobody waits for, in one statement where a statement costs a round trip.

The rows that end a write are inserted while every other writer waits for the head of the log. PostgreSQL takes them
together, by data-modifying WITH clauses; SQLite, in our own process, gains nothing by it.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, Table, bindparam, insert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    Row = tuple[Table, Mapping[str, Any]]

AT_ONCE = 8
"""Most rows of one statement: each sequence of tables is another one to compile and prepare."""
_SHARED = {
    **{name: name for name in ("project", "model", "revision", "actor", "method", "request_id")},
    **dict.fromkeys(("time", "create_time", "update_time"), "time"),
}
"""Columns that say the same in all rows of a write, bound once: psycopg parses a statement of more than 50
parameters anew at every call."""


def joins_rows(connection: Connection) -> bool:
    """Whether it pays to hold rows back for `insert_rows`."""
    return connection.dialect.name == "postgresql"


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert `rows`, each with a value for every column of its table."""
    together = _bound(rows) if joins_rows(connection) and 1 < len(rows) <= AT_ONCE else None
    if together is not None:
        connection.execute(_together(tuple(table for table, _ in rows)), together)
        return
    for table, group in groupby(rows, key=itemgetter(0)):
        same = [row for _, row in group]
        connection.execute(_alone(table), same if len(same) > 1 else same[0])


def _bound(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The parameters of `_together`; None when a shared column differs after all."""
    values: dict[str, Any] = {}
    for at, (_, row) in enumerate(rows):
        for column, value in row.items():
            if values.setdefault(_parameter(column, at), value) != value:
                return None
    return values


def _parameter(column: str, at: int) -> str:
    return _SHARED.get(column) or f"{column}_{at}"


@cache
def _alone(table: Table) -> Insert:
    return insert(table)


@cache
def _together(tables: tuple[Table, ...]) -> Insert:
    *others, last = (
        insert(table).values(
            {column.name: bindparam(_parameter(column.name, at), type_=column.type) for column in table.c}
        )
        for at, table in enumerate(tables)
    )
    return last.add_cte(*(one.cte(f"row_{at}") for at, one in enumerate(others)))
