"""Free text on both engines: which rows have all the words, and in what order they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Integer, bindparam, case, column, literal_column, select, table, text

from registry_grpc.storage.sql.tables import search_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

# As the index has it; see migration 0012.
_LEXEMES = "array_to_tsvector(array_remove(string_to_array({}, ' '), ''))"
_PLACES = ("search_text.head", "search_text.head || ' ' || search_text.body")
_ALL = "search_text.head || ' ' || search_text.body || ' ' || search_text.card"
_INDEX = table("search_index", column("rowid", Integer))
_COLUMNS = ("head", "head body", "head body card")


def ranked(words: Sequence[str], kind: str, *, postgresql: bool) -> Select[tuple[str, int]]:
    """`uid` and `rank` of what has a word that begins with each of `words`.

    Rank 0: all are in names, labels and tags; 1: in the description too; 2: some only in the card. The same words come
    to the same rank whatever else is there, so that pages under writes neither lose nor repeat.
    """
    rank, found = _postgresql(words) if postgresql else _sqlite(words)
    of_kind = search_text.c.kind == bindparam("text_kind", kind)
    return select(search_text.c.uid, rank.label("rank")).where(of_kind, found)


def _postgresql(words: Sequence[str]) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    # Words are letters and digits only. The cast takes them as they are, without the parser.
    query = " & ".join(f"'{word}':*" for word in words)

    def match(place: str, name: str) -> ColumnElement[bool]:
        condition = text(f"{_LEXEMES.format(place)} @@ CAST(:{name} AS tsquery)").bindparams(**{name: query})
        return literal_column("true") & condition

    rank = case((match(_PLACES[0], "words_head"), 0), (match(_PLACES[1], "words_body"), 1), else_=2)
    return rank, match(_ALL, "words_all")


def _sqlite(words: Sequence[str]) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    def match(columns: str, name: str) -> ColumnElement[bool]:
        wanted = " AND ".join(f'"{word}" *' for word in words)
        query = f"{{{columns}}} : ({wanted})"
        rows = select(_INDEX.c.rowid).where(text(f"search_index MATCH :{name}").bindparams(**{name: query}))
        return literal_column("search_text.rowid", Integer).in_(rows)

    rank = case((match(_COLUMNS[0], "words_head"), 0), (match(_COLUMNS[1], "words_body"), 1), else_=2)
    return rank, match(_COLUMNS[2], "words_all")
