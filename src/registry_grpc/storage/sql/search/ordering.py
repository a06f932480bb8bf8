"""Orders and keyset pages: the page after a row is what sorts behind its keys, whatever was written meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, false, or_, tuple_

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, FromClause, Select

Bool = ColumnElement[bool]
Place = Sequence["BindParameter[Any] | None"]
"""How the row before a page sorted: where the values of its keys will be bound, None for those that are NULL."""


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

    def beyond(self, value: BindParameter[Any] | None, *, inclusive: bool = False) -> Bool:
        """What sorts behind `value`, or with it."""
        if value is None:
            return self.column.is_(None) if inclusive else false()
        if self.descending:
            found = self.column <= value if inclusive else self.column < value
        else:
            found = self.column >= value if inclusive else self.column > value
        return or_(found, self.column.is_(None)) if self.nullable else found

    def same(self, value: BindParameter[Any] | None) -> Bool:
        """What sorts as `value`."""
        return self.column.is_(None) if value is None else self.column == value


def place(keys: Sequence[Key], nulls: Sequence[bool]) -> Place:
    """Where `bound` will put the values of a row; `nulls` says which of them are None."""
    return [
        None if null and key.nullable else bindparam(f"last_{at}", type_=key.column.type)
        for at, (key, null) in enumerate(zip(keys, nulls, strict=True))
    ]


def bound(last: Sequence[object] | None) -> dict[str, object]:
    """The values of a row for the statement of the page behind it."""
    return {f"last_{at}": value for at, value in enumerate(last or ())}


def nulls_of(last: Sequence[object] | None) -> tuple[bool, ...] | None:
    """Which values of a row are None: all that the statement of the page behind it depends on."""
    return None if last is None else tuple(value is None for value in last)


def after(keys: Sequence[Key], values: Place) -> Bool:
    """What sorts behind a row with those values of the keys."""
    simple = not any(key.nullable for key in keys) and len({key.descending for key in keys}) == 1
    if simple:
        mine, theirs = tuple_(*(key.column for key in keys)), tuple_(*values)
        return mine < theirs if keys[0].descending else mine > theirs
    found: Bool = false()
    for key, value in reversed(list(zip(keys, values, strict=True))):
        found = or_(key.beyond(value), and_(key.same(value), found))
    # Says nothing new, and lets an index begin where the page does.
    return and_(keys[0].beyond(values[0], inclusive=True), found)


def page(
    statement: Select[Any], keys: Sequence[Key], last: Place | None, limit: int | ColumnElement[Any]
) -> Select[Any]:
    """`statement` in the order of the keys, from behind the row at `last` on; it ends with the values of the keys."""
    if last is not None:
        statement = statement.where(after(keys, last))
    sorts = [key.column.label(f"sort_{at}") for at, key in enumerate(keys)]
    return statement.add_columns(*sorts).order_by(*(part for key in keys for part in key.sorted)).limit(limit)


def again(keys: Sequence[Key], found: FromClause) -> Sequence[ColumnElement[Any]]:
    """ORDER BY for what is joined to a page; a join need not keep its order."""
    sorts = [replace(key, column=found.c[f"sort_{at}"]) for at, key in enumerate(keys)]
    return [part for key in sorts for part in key.sorted]
