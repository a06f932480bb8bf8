"""One column against one comparison, the same on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import ColumnElement, Double, Integer, and_, false, func, literal, not_, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
from registry_grpc.storage.sql.tables.search import TERM_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.compiler import SQLCompiler

Bool = ColumnElement[bool]
Column = ColumnElement[Any]
ORDER: dict[Comparison, Callable[[Any, Any], Any]] = {
    Comparison.EQUAL: lambda column, value: column == value,
    Comparison.UNEQUAL: lambda column, value: column != value,
    Comparison.LESS: lambda column, value: column < value,
    Comparison.AT_MOST: lambda column, value: column <= value,
    Comparison.MORE: lambda column, value: column > value,
    Comparison.AT_LEAST: lambda column, value: column >= value,
}


def matches(column: Column, one: Condition) -> Bool:
    """A column of the row itself, or of one that is tied to it already."""
    if one.kind is Kind.TEXT:
        return text_matches(column, one.comparison, cast("str", one.operand or ""))
    if one.comparison is Comparison.PRESENT:
        return column.is_not(None)
    value = literal(one.operand, Double) if one.kind is Kind.NUMBER else one.operand
    compared = ORDER[one.comparison](column, value)
    return and_(column.is_not(None), compared) if getattr(column, "nullable", False) else compared


def text_matches(column: Column, comparison: Comparison, operand: str) -> Bool:
    """A text that is whole in its column."""
    match comparison:
        case Comparison.EQUAL:
            return column == operand
        case Comparison.UNEQUAL:
            return column != operand
        case Comparison.BEGINS:
            return begins(column, operand)
        case Comparison.NOT_BEGINS:
            return not_(begins(column, operand))
        case Comparison.CONTAINS:
            return contains(column, operand)
        case _:
            return column != ""


def long_text_matches(text: Column, whole: Column, comparison: Comparison, operand: str) -> Bool:
    """A text of which `text` has the first `TERM_CHARS`, and `whole` all of it when it is longer."""
    head, is_long = operand[:TERM_CHARS], len(operand) > TERM_CHARS
    match comparison:
        case Comparison.EQUAL:
            return and_(text == head, func.coalesce(whole == operand, false()) if is_long else whole.is_(None))
        case Comparison.UNEQUAL:
            longer = or_(whole.is_(None), whole != operand) if is_long else whole.is_not(None)
            return or_(text != head, longer)
        case Comparison.BEGINS if is_long:
            return and_(text == head, func.coalesce(begins(whole, operand), false()))
        case Comparison.NOT_BEGINS:
            return not_(long_text_matches(text, whole, Comparison.BEGINS, operand))
        case Comparison.CONTAINS:
            return contains(func.coalesce(whole, text), operand)
        case _:
            return text_matches(text, comparison, operand)


class Unindexed(FunctionElement[Any]):
    """A column by which SQLite shall not look for rows: without statistics it guesses badly which index is best."""

    inherit_cache = True


class Unseen(FunctionElement[Any]):
    """A value that PostgreSQL does not look at when it plans: the plan is the same for each value, and made once.

    Knowing where a range lies it would make another one each time, which takes twice as long as reading ten rows.
    """

    inherit_cache = True


@compiles(Unindexed)
@compiles(Unseen)
def _itself(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as the compiler gives them
    return compiler.process(element.clauses, **options)


@compiles(Unindexed, "sqlite")
def _plus(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"+{compiler.process(element.clauses, **options)}"


def unindexed(column: Column) -> Column:
    """`column`, with its type."""
    made = Unindexed(column)
    made.type = column.type
    return made


@compiles(Unseen, "postgresql")
def _selected(element: Unseen, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"(SELECT {compiler.process(element.clauses, **options)})"


class PlaceOf(FunctionElement[int]):
    """Where a text begins in another, from 1; 0 when it does not."""

    type = Integer()
    inherit_cache = True


@compiles(PlaceOf, "sqlite")
def _instr(element: PlaceOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(PlaceOf, "postgresql")
def _strpos(element: PlaceOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"strpos({compiler.process(element.clauses, **options)})"


def begins(column: Column, prefix: str, *, unseen: bool = False) -> Bool:
    """Text that begins with `prefix`, as a range: LIKE folds case on SQLite, and knows wildcards everywhere.

    `unseen` for what is planned best without knowing the range: see `Unseen`.
    """
    if not prefix:
        return true()
    end = _successor(prefix)
    bounds: list[Column] = [literal(text, column.type) for text in (prefix, end)]
    first, after = (Unseen(each) for each in bounds) if unseen else bounds
    return and_(column >= first, column < after) if end else column >= first


def _successor(prefix: str) -> str:
    """The least text that is greater than everything that begins with `prefix`; empty when there is none."""
    for at in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[at])
        if code < 0x10FFFF:  # noqa: PLR2004 - the last code point
            # Surrogates are no characters; nothing that is text lies between.
            following = 0xE000 if code + 1 == 0xD800 else code + 1  # noqa: PLR2004
            return prefix[:at] + chr(following)
    return ""


def contains(column: Column, text: str) -> Bool:
    """Text that has `text` in it, letter by letter."""
    return PlaceOf(column, text) > 0
