"""The grammar of filters: a subset of AIP-160 (https://google.aip.dev/160), read by an LALR(1) parser.

Three things of AIP-160 are left out because people read them differently than they are meant: AND beside OR without
parentheses (there OR binds tighter, in SQL AND does), words without a field, and a space in place of AND.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, NoReturn, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from registry_grpc.domain.errors import shortened
from registry_grpc.domain.filters.tree import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_RESTRICTIONS,
    And,
    Literal,
    Not,
    Operator,
    Or,
    Restriction,
    Subject,
    Tree,
    invalid_filter,
)

_GRAMMAR = r"""
start: [expression]

?expression: term
           | term (_AND term)+ -> both
           | term (_OR term)+  -> either
?term: _NOT simple   -> negation
     | _MINUS simple -> negation
     | simple
?simple: restriction
       | _OPEN expression _CLOSE

restriction: subject [OPERATOR value]
subject: NAME (_DOT (NAME | STRING))*                     -> field
       | NAME _OPEN [value (_COMMA value)*] _CLOSE        -> function
value: STRING | WORD

_AND.2: /AND(?![\w.])/
_OR.2: /OR(?![\w.])/
_NOT.2: /NOT(?![\w.])/
_MINUS: "-"
_OPEN: "("
_CLOSE: ")"
_DOT: "."
_COMMA: ","
OPERATOR: /<=|>=|!=|[<>=:]/
NAME: /[A-Za-z_][A-Za-z0-9_-]*/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
WORD: /(?!(?:AND|OR|NOT)(?![\w.]))[\w*+.:\/@-]+/
%ignore /[ \t\r\n]+/
"""
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SAID = {
    "_AND": "AND",
    "_OR": "OR",
    "_NOT": "NOT",
    "_MINUS": "'-'",
    "_OPEN": "'('",
    "_CLOSE": "')'",
    "_DOT": "'.'",
    "_COMMA": "','",
    "OPERATOR": "a comparison (= != < <= > >= :)",
    "NAME": "a field",
    "STRING": "a quoted text",
    "WORD": "a value",
    "$END": "the end",
}
_JOINTS = frozenset({"_AND", "_OR"})
_WORDS = frozenset({"AND", "OR", "NOT"})
_QUOTES = frozenset("\"'")
_PUNCTUATION = frozenset("()=<>!:,.")
REMEMBERED_CHARS = 512
"""Filters as long as this are kept as they were read: each page of a search says the same one again."""


def parse_filter(text: str, *, field: str = "filter") -> Tree[Restriction]:
    """The tree of a filter; an empty one asks for nothing. `field` is where it stands in the request.

    Raises: INVALID_FILTER, which names the column.
    """
    return (_remembered if len(text) <= REMEMBERED_CHARS else _parsed)(text, field)


def _parsed(text: str, field: str) -> Tree[Restriction]:
    if len(text) > MAX_CHARS:
        raise invalid_filter(MAX_CHARS + 1, f"it has {len(text)} characters, the limit is {MAX_CHARS}", field=field)
    _require_shallow(text, field)
    try:
        planted: Tree[Restriction] = _Planter().transform(_parser().parse(text))
    except UnexpectedInput as error:
        _refuse(error, text, field)
    except VisitError as error:
        if isinstance(error.orig_exc, _TooManyError):
            raise invalid_filter(
                error.orig_exc.column, f"more than {MAX_RESTRICTIONS} comparisons; ask several times", field=field
            ) from None
        raise
    return planted


_remembered = lru_cache(maxsize=256)(_parsed)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=True)


def _require_shallow(text: str, field: str) -> None:
    """The parser needs no stack for brackets; everything behind it does.

    Raises: INVALID_FILTER.
    """
    depth, quote, escaped = 0, "", False
    for column, character in enumerate(text, 1):
        if escaped:
            escaped = False
        elif quote:
            escaped = character == "\\"
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character == "(":
            depth += 1
            if depth > MAX_DEPTH:
                raise invalid_filter(column, f"brackets are nested deeper than {MAX_DEPTH}", field=field)
        elif character == ")":
            depth -= 1


def _refuse(error: UnexpectedInput, text: str, field: str) -> NoReturn:
    """Raises: INVALID_FILTER in words for people."""
    if isinstance(error, UnexpectedCharacters):
        at = cast("int", error.pos_in_stream)
        found = text[at]
        what = (
            "the quote is never closed" if found in _QUOTES else f"found {found!r}, which means nothing here; quote it"
        )
        raise invalid_filter(at + 1, what, field=field) from None
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        raise invalid_filter(_column(error.token), _why(error), field=field) from None
    expected = set(error.accepts or error.expected) if isinstance(error, UnexpectedToken) else set[str]()
    raise invalid_filter(len(text) + 1, f"it ends where {_listed(expected)} should follow", field=field) from None


def _why(error: UnexpectedToken) -> str:
    found, expected = str(error.token), set(error.accepts or error.expected)
    if found.upper() in _WORDS and found not in _WORDS:
        return f"found {found!r}; write {found.upper()} in capitals"
    if expected & _JOINTS:
        if error.token.type in _JOINTS:
            return "AND and OR stand side by side; put parentheses around what belongs together"
        if found[0] not in _PUNCTUATION:
            return f"{shortened(found, 40)!r} follows without AND or OR; words without a field go into `query`"
    return f"found {shortened(found, 40)!r}, expected {_listed(expected)}"


def _listed(expected: set[str]) -> str:
    words = sorted(_SAID.get(name, name) for name in expected)
    return " or ".join(words) if words else "something else"


class _TooManyError(Exception):
    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column


class _Planter(Transformer[Token, Any]):
    """Makes our tree of the parser's."""

    def __init__(self) -> None:
        super().__init__()
        self._restrictions = 0

    def start(self, parts: list[Any]) -> Tree[Restriction]:
        planted: Tree[Restriction] = And(()) if parts[0] is None else parts[0]
        return planted

    def both(self, parts: list[Any]) -> And[Restriction]:
        return And(tuple(parts))

    def either(self, parts: list[Any]) -> Or[Restriction]:
        return Or(tuple(parts))

    def negation(self, parts: list[Any]) -> Not[Restriction]:
        return Not(parts[0])

    def restriction(self, parts: list[Any]) -> Restriction:
        subject, operator, value = parts
        self._restrictions += 1
        if self._restrictions > MAX_RESTRICTIONS:
            raise _TooManyError(subject.column)
        return Restriction(subject, None if operator is None else Operator(str(operator)), value)

    def field(self, parts: list[Token]) -> Subject:
        path = tuple(_unquoted(part) if part.type == "STRING" else str(part) for part in parts)
        return Subject(path, _column(parts[0]))

    def function(self, parts: list[Any]) -> Subject:
        name, *arguments = parts
        given = tuple(each for each in arguments if each is not None)
        return Subject((str(name),), _column(name), given)

    def value(self, parts: list[Token]) -> Literal:
        token = parts[0]
        quoted = token.type == "STRING"
        raw = str(token)[1:-1] if quoted else str(token)
        # A star that is escaped is a star; only the one at the end means anything.
        prefix = raw.endswith("*") and not _odd_backslashes(raw[:-1])
        if prefix:
            raw = raw[:-1]
        return Literal(_ESCAPE.sub(r"\1", raw) if quoted else raw, _column(token), quoted, prefix)


def _odd_backslashes(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _unquoted(token: Token) -> str:
    return _ESCAPE.sub(r"\1", str(token)[1:-1])


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1
