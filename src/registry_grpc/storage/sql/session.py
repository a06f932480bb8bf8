"""One transaction as the repositories see it: run a statement, and refuse writes where they must not be."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from registry_grpc.storage.sql.inserts import insert_rows, joins_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Executable, Table

    from registry_grpc.storage.sql.inserts import Listed, Row

Record = Any
"""A row; its columns are its attributes."""


class Session:
    """A connection inside a transaction (or in autocommit, for reads). Used by one thread at a time."""

    __slots__ = (
        "_added",
        "_clock",
        "_joins",
        "_now",
        "_offset",
        "advanced",
        "connection",
        "validate_only",
        "writable",
    )

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[Connection], datetime],
        offset: timedelta,
        *,
        writable: bool = False,
        validate_only: bool = False,
    ) -> None:
        """`clock` reads the database's time and is asked at most once; `offset` is added to what it says."""
        self.connection = connection
        self._joins = joins_rows(connection)
        self._added: list[Row] = []
        self.writable = writable
        self.validate_only = validate_only
        self.advanced = False
        self._clock = clock
        self._offset = offset
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time of this transaction."""
        if self._now is None:
            self._now = self._clock(self.connection) + self._offset
        return self._now

    def learn_now(self, clock: datetime) -> None:
        """Take the database's time from a statement that brought it along; it replaces an earlier one."""
        self._now = clock.astimezone(UTC) + self._offset

    def one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Record | None:
        """The first row, or None."""
        return self._execute(statement, values).first()

    def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Record]:
        """Every row."""
        rows: Sequence[Record] = self._execute(statement, values).all()
        return rows

    def lock(self, statement: Executable, values: Mapping[str, Any]) -> Record | None:
        """As `one`, for a statement that locks what it finds."""
        self._require_write()
        return self._execute(statement, values).first()

    def lock_rows(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Record]:
        """As `all`, for a statement that locks or changes what it finds."""
        self._require_write()
        rows: Sequence[Record] = self._execute(statement, values).all()
        return rows

    def change(self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> int:
        """Run a writing statement; returns the number of rows it touched."""
        self._require_write()
        return int(self._execute(statement, values).rowcount)

    def add(self, table: Table | Listed, *rows: Mapping[str, Any]) -> None:
        """Insert rows that have a value for every column; at the latest before the next statement, or by `flush`."""
        self._require_write()
        self._added += ((table, row) for row in rows)
        if not self._joins:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were added. Raises: errors of SQLAlchemy."""
        if self._added:
            rows, self._added = self._added, []
            insert_rows(self.connection, rows)

    def stamp(self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> int:
        """As `change`, for rows that carry a revision: only after `Unit.advance`."""
        self._require_advance()
        return self.change(statement, values)

    def add_stamped(self, table: Table, row: Mapping[str, Any]) -> None:
        """As `add`, for a row that carries a revision: only after `Unit.advance`."""
        self._require_advance()
        self.add(table, row)

    def replace(self, statement: Executable, values: Mapping[str, Any]) -> None:
        """As `stamp`, for exactly one row that is known to be there."""
        if self.stamp(statement, values) != 1:
            msg = f"no row to replace: {values.get('key')}"
            raise LookupError(msg)

    def _execute(self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> Any:  # noqa: ANN401 - a result of rows with any columns
        self.flush()
        return self.connection.execute(statement, values)

    def _require_advance(self) -> None:
        if self.writable and not self.advanced:
            msg = "a row with a revision was written before Unit.advance"
            raise RuntimeError(msg)

    def _require_write(self) -> None:
        if not self.writable:
            msg = "a reader cannot lock or write; use Store.write"
            raise RuntimeError(msg)
