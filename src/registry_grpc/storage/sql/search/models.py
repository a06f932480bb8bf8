"""Models that a search finds, page after page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from registry_grpc.ports.search import ModelHit, VersionHit
from registry_grpc.storage.sql.models import to_model
from registry_grpc.storage.sql.search.compiling import model_where, version_where
from registry_grpc.storage.sql.search.kept import kept
from registry_grpc.storage.sql.search.ordering import Key, bound, nulls_of, page, place
from registry_grpc.storage.sql.search.texts import ranked
from registry_grpc.storage.sql.search.versions import Query, is_postgresql, name_keys, plain, seen
from registry_grpc.storage.sql.tables import model as table
from registry_grpc.storage.sql.tables import version
from registry_grpc.storage.sql.version_lists import ALIASES
from registry_grpc.storage.sql.version_rows import to_aliases

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import FromClause, Select

    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.search import Order, Search
    from registry_grpc.ports.search import SortValue
    from registry_grpc.storage.sql.session import Session

_LIVE_VERSION = version.c.delete_time.is_(None)


def found_models(wanted: Search, having: Tree[Condition] | None, *, postgresql: bool) -> Query:
    """What a search finds."""
    where = [~table.c.buried, seen(wanted.visible, table.c.project, table.c.id), model_where(wanted.conditions)]
    if not wanted.show_deleted:
        where.append(table.c.delete_time.is_(None))
    if having is not None:
        one = select(version.c.uid).where(version.c.model_uid == table.c.uid, _LIVE_VERSION, version_where(having))
        where.append(one.correlate(table).exists())
    source: FromClause = table
    names = (table.c.project, table.c.id)
    if not wanted.words:
        return Query(source, where, names)
    words = ranked(wanted.words, "model", postgresql=postgresql).subquery("texts")
    return Query(source.join(words, words.c.uid == table.c.uid), where, names, rank=words.c.rank)


def search_models(
    session: Session,
    wanted: Search,
    having: Tree[Condition] | None,
    *,
    last: Sequence[SortValue] | None,
    limit: int,
) -> Sequence[ModelHit]:
    """A page behind the row that sorted as `last`."""
    statement = _paged(wanted, having, nulls_of(last), limit, is_postgresql(session))
    rows = session.all(statement, bound(last))
    return [ModelHit(to_model(row), tuple(row[len(table.c) :])) for row in rows]


def newest_versions(session: Session, model_uids: Collection[str], having: Tree[Condition]) -> Mapping[str, VersionHit]:
    """By uid of the model, the newest of its live versions that fulfils `having`."""
    if not model_uids:
        return {}
    rows = session.all(_newest(having), {"models": list(model_uids)})
    return {model: VersionHit(uid, revision, to_aliases(text)) for model, uid, revision, text in rows}


@kept
def _paged(
    wanted: Search,
    having: Tree[Condition] | None,
    nulls: tuple[bool, ...] | None,
    limit: int,
    postgresql: bool,  # noqa: FBT001 - passed on
) -> Select[Any]:
    query = found_models(wanted, having, postgresql=postgresql)
    keys = _keys(wanted.order, query)
    last = None if nulls is None else place(keys, nulls)
    return page(select(table).select_from(query.source).where(*query.where), keys, last, limit)


@kept
def _newest(having: Tree[Condition]) -> Select[Any]:
    newest = (
        select(version.c.model_uid, func.max(version.c.number).label("number"))
        .where(version.c.model_uid.in_(bindparam("models", expanding=True)), _LIVE_VERSION, version_where(having))
        .group_by(version.c.model_uid)
        .subquery("newest")
    )
    same = (version.c.model_uid == newest.c.model_uid) & (version.c.number == newest.c.number)
    columns = version.c.model_uid, version.c.uid, version.c.revision, ALIASES
    return select(*columns).select_from(version.join(newest, same))


def _keys(order: Sequence[Order], query: Query) -> list[Key]:
    keys: list[Key] = []
    for each in order:
        if each.field == "relevance":
            assert query.rank is not None  # noqa: S101 - only searches with words are ordered by it
            keys.append(Key(query.rank))
        elif each.field == "name":
            return [*keys, *name_keys(query, descending=each.descending)]
        else:
            keys.append(Key(plain(table.c[each.field]), each.descending))
    return [*keys, *name_keys(query, descending=False)]
