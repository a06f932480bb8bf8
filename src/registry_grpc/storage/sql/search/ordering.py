"""Orders and keyset pages: the page after a row is what sorts behind its keys, whatever was written meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, false, literal, or_, tuple_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause, Select

    from registry_grpc.storage.sql.session import Record

Bool = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Key:
    """One column to sort by. NULL comes last, upwards and downwards."""

    column: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False

    @property
    def sorted(self) -> list[ColumnElement[Any]]:
        """For ORDER BY."""
        column = self.column.desc() if self.descending else self.column
        # On PostgreSQL NULL is the largest, on SQLite the least.
        return [self.column.is_(None), column] if self.nullable else [column]

    def beyond(self, value: object, *, inclusive: bool = False) -> Bool:
        """What sorts behind `value`, or with it."""
        if value is None:
            return self.column.is_(None) if inclusive else false()
        if self.descending:
            found = self.column <= value if inclusive else self.column < value
        else:
            found = self.column >= value if inclusive else self.column > value
        return or_(found, self.column.is_(None)) if self.nullable else found

    def same(self, value: object) -> Bool:
        """What sorts as `value`."""
        return self.column.is_(None) if value is None else self.column == value


def after(keys: Sequence[Key], values: Sequence[object]) -> Bool:
    """What sorts behind a row with those values of the keys."""
    simple = not any(key.nullable for key in keys) and len({key.descending for key in keys}) == 1
    if simple:
        mine, theirs = tuple_(*(key.column for key in keys)), tuple_(*_typed(keys, values))
        return mine < theirs if keys[0].descending else mine > theirs
    found: Bool = false()
    for key, value in reversed(list(zip(keys, values, strict=True))):
        found = or_(key.beyond(value), and_(key.same(value), found))
    # Says nothing new, and lets an index begin where the page does.
    return and_(keys[0].beyond(values[0], inclusive=True), found)


def page(statement: Select[Any], keys: Sequence[Key], last: Sequence[object] | None, limit: int) -> Select[Any]:
    """`statement` in the order of the keys, from behind the row with the values `last` on; `sort_values` reads them."""
    if last is not None:
        statement = statement.where(after(keys, last))
    sorts = [key.column.label(f"sort_{at}") for at, key in enumerate(keys)]
    return statement.add_columns(*sorts).order_by(*(part for key in keys for part in key.sorted)).limit(limit)


def again(keys: Sequence[Key], found: FromClause) -> Sequence[ColumnElement[Any]]:
    """ORDER BY for what is joined to a page; a join need not keep its order."""
    sorts = [replace(key, column=found.c[f"sort_{at}"]) for at, key in enumerate(keys)]
    return [part for key in sorts for part in key.sorted]


def sort_values(row: Record, keys: Sequence[Key]) -> tuple[Any, ...]:
    """The values of the keys in a row of a page, which ends with them."""
    return tuple(row[-len(keys) :])


def _typed(keys: Sequence[Key], values: Sequence[object]) -> list[Any]:
    return [literal(value, key.column.type) for key, value in zip(keys, values, strict=True)]
