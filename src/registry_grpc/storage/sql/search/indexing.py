"""Writes what a version or model is searched by, beside its row and in its transaction."""

from __future__ import annotations

import math
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select

from registry_grpc.domain.filters.terms import newest_metrics, tag_terms, terms_of
from registry_grpc.domain.filters.words import model_words, version_words
from registry_grpc.storage.sql.inserts import Listed, joins_rows
from registry_grpc.storage.sql.tables import model as model_table
from registry_grpc.storage.sql.tables import model_term, search_text, version_metric, version_term
from registry_grpc.storage.sql.tables import version as version_table
from registry_grpc.storage.sql.tables.search import TERM_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Table

    from registry_grpc.domain.filters.terms import Term
    from registry_grpc.domain.filters.words import Words
    from registry_grpc.domain.metadata import Metric
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.storage.sql.session import Session

_OF_VERSION = [delete(table).where(table.c.version_uid == bindparam("of")) for table in (version_term, version_metric)]
_OF_MODEL = delete(model_term).where(model_term.c.model_uid == bindparam("of"))
_WORDS_OF = delete(search_text).where(search_text.c.uid == bindparam("of"))
_TERMS = Listed(version_term, ("version_uid", "project", "model", "version_number"))
_METRICS = Listed(version_metric, ("version_uid", "project"))
_TEXT = Listed(search_text, ("uid",))
_UNINDEXED = {
    table: select(table.c.uid)
    .where(~select(search_text.c.uid).where(search_text.c.uid == table.c.uid).exists())
    .limit(bindparam("limit"))
    for table in (model_table, version_table)
}


def index_version(session: Session, version: Version, *, before: Version | None = None, is_new: bool = False) -> None:
    """Write the rows of a version, as far as they are not those of `before`; None for all of them."""
    if is_new and joins_rows(session.connection):
        _add_new(session, version)
        return
    whole = before is None or not _same_terms(version, before)
    if before is None or not _same_words(version, before):
        known = _write_words(session, version.uid, "version", version_words(version), is_new=is_new)
        # A version of an older schema has nothing yet, and would be taken for indexed by its words.
        whole = whole or not known
    if whole:
        _rewrite(session, version, is_new=is_new)


def index_model(session: Session, model: Model, *, is_new: bool = False) -> None:
    """Write the rows of a model."""
    if not is_new:
        session.change(_OF_MODEL, {"of": model.uid})
    rows = _term_rows(tag_terms(model.tags), {"model_uid": model.uid, "project": model.name.project})
    _insert(session, model_term, rows)
    _write_words(session, model.uid, "model", model_words(model), is_new=is_new)


def forget_version(session: Session, uid: str) -> None:
    """Remove what a version was searched by."""
    for statement in (*_OF_VERSION, _WORDS_OF):
        session.change(statement, {"of": uid})


def forget_model(session: Session, uid: str) -> None:
    """Remove what a model was searched by."""
    session.change(_OF_MODEL, {"of": uid})
    session.change(_WORDS_OF, {"of": uid})


def is_any_unindexed(session: Session) -> bool:
    """Whether a model or version has no rows."""
    return any(session.one(statement, {"limit": 1}) for statement in _UNINDEXED.values())


def lock_unindexed(session: Session, table: Table, limit: int) -> Sequence[str]:
    """Uids of models or versions without rows, locked. What somebody else is writing is left out: it gets its rows."""
    statement = _UNINDEXED[table].with_for_update(key_share=True, skip_locked=True, of=table)
    return [row.uid for row in session.lock_rows(statement, {"limit": limit})]


def _same_terms(one: Version, other: Version) -> bool:
    # Mostly it is the very object: a promotion changes nothing of these.
    return (
        (one.metadata is other.metadata or one.metadata == other.metadata)
        and one.tags == other.tags
        and one.formats == other.formats
        and one.owner == other.owner
        and one.card == other.card
    )


def _same_words(one: Version, other: Version) -> bool:
    return (
        one.description == other.description
        and one.model_card == other.model_card
        and one.card == other.card
        and one.owner == other.owner
        and one.tags == other.tags
        and (one.metadata is other.metadata or version_words(one) == version_words(other))
    )


def _rewrite(session: Session, version: Version, *, is_new: bool) -> None:
    if not is_new:
        for statement in _OF_VERSION:
            session.change(statement, {"of": version.uid})
    owner, place = _owner_and_place(version)
    _insert(session, version_term, _term_rows(terms_of(version), place, numbers=True))
    _insert(session, version_metric, _metric_rows(newest_metrics(version.metadata.metrics), owner))


def _add_new(session: Session, version: Version) -> None:
    """All rows of a version that is new, in the statement that ends the write."""
    owner, place = _owner_and_place(version)
    session.add(_TERMS, {**place, "rows": _term_rows(terms_of(version), {}, numbers=True)})
    if metrics := newest_metrics(version.metadata.metrics):
        session.add(_METRICS, {**owner, "rows": _metric_rows(metrics, {})})
    words = {"kind": "version", **version_words(version)._asdict()}
    session.add(_TEXT, {"uid": version.uid, "rows": [words]})


def _owner_and_place(version: Version) -> tuple[dict[str, str], dict[str, Any]]:
    """What all metrics of a version have in common, and what all its terms have."""
    name, owner = version.name, {"version_uid": version.uid, "project": version.name.project}
    return owner, {**owner, "model": name.model, "version_number": name.number}


def _insert(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        session.change(insert(table), rows)


def _term_rows(terms: Iterable[Term], owner: dict[str, Any], *, numbers: bool = False) -> list[dict[str, Any]]:
    rows = []
    for at, term in enumerate(terms):
        text = term.text
        row: dict[str, Any] = {
            **owner,
            "idx": at,
            "field": term.field,
            "key": term.key,
            "text": None if text is None else text[:TERM_CHARS],
            "long_text": text if text is not None and len(text) > TERM_CHARS else None,
        }
        if numbers:
            row |= {"number": term.number, "flag": term.flag}
        rows.append(row)
    return rows


def _metric_rows(metrics: Sequence[Metric], owner: dict[str, str]) -> list[dict[str, Any]]:
    ends: dict[tuple[str, str], tuple[int, int]] = {}
    place = attrgetter("name", "slice")
    numbered = [(place(metric), metric.value, at) for at, metric in enumerate(metrics) if math.isfinite(metric.value)]
    for named, group in groupby(sorted(numbered), key=lambda one: one[0]):
        found = list(group)
        ends[named] = (found[0][2], found[-1][2])
    return [
        {
            **owner,
            "idx": at,
            "name": metric.name,
            "dataset": metric.dataset,
            "dataset_version": metric.dataset_version,
            "slice": metric.slice,
            "direction": "" if metric.direction is None else metric.direction.value,
            "value": metric.value if math.isfinite(metric.value) else None,
            "lowest": ends.get(place(metric), (-1, -1))[0] == at,
            "highest": ends.get(place(metric), (-1, -1))[1] == at,
        }
        for at, metric in enumerate(metrics)
    ]


def _write_words(session: Session, uid: str, kind: str, words: Words, *, is_new: bool) -> bool:
    """Whether there were words of it before."""
    known = not is_new and session.change(_WORDS_OF, {"of": uid}) > 0
    session.change(insert(search_text), {"uid": uid, "kind": kind, **words._asdict()})
    return known
