"""Models that a search finds, page after page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select, true

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
from registry_grpc.domain.names import ModelName
from registry_grpc.ports.search import ModelHit, VersionHit
from registry_grpc.storage.sql.models import to_model
from registry_grpc.storage.sql.search.compiling import begins_name, model_where, version_where
from registry_grpc.storage.sql.search.kept import kept
from registry_grpc.storage.sql.search.ordering import Key, again, bound, nulls_of, page, place
from registry_grpc.storage.sql.search.texts import ranked
from registry_grpc.storage.sql.search.versions import Query, is_postgresql, name_keys, plain, seen
from registry_grpc.storage.sql.tables import model as table
from registry_grpc.storage.sql.tables import version
from registry_grpc.storage.sql.version_lists import LIVE, NEWEST, aliases_of
from registry_grpc.storage.sql.version_rows import to_aliases

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import FromClause, Select

    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.resources import Model
    from registry_grpc.domain.search import Order, Search
    from registry_grpc.ports.search import SortValue
    from registry_grpc.storage.sql.search.ordering import Bool
    from registry_grpc.storage.sql.session import Session

_READ = select(table).where(table.c.uid.in_(bindparam("uids", expanding=True)))
_READY: Tree[Condition] = Condition("state", Kind.TEXT, Comparison.EQUAL, "ready")


def found_models(wanted: Search, having: Tree[Condition] | None, *, postgresql: bool) -> Query:
    """What a search finds."""
    where = [~table.c.buried, seen(wanted.visible, table.c.project, table.c.id), model_where(wanted.conditions)]
    if not wanted.show_deleted:
        where.append(table.c.delete_time.is_(None))
    if having is not None:
        one = select(version.c.uid).where(version.c.model_uid == table.c.uid, LIVE, version_where(having))
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
    return [_hit(*row) for row in session.all(statement, bound(last))]


def read_models(session: Session, uids: Collection[str]) -> Mapping[str, Model]:
    """By uid, those that are there."""
    if not uids:
        return {}
    return {row.uid: to_model(row) for row in session.all(_READ, {"uids": list(uids)})}


def _hit(
    newest_uid: str | None,
    newest_revision: int,
    aliases: str | None,
    project: str,
    model: str,
    uid: str,
    revision: int,
    *sort: SortValue,
) -> ModelHit:
    newest = None if newest_uid is None else VersionHit(newest_uid, newest_revision, to_aliases(aliases))
    return ModelHit(ModelName(project, model), uid, revision, newest, sort)


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
    rows = select(table.c.project, table.c.id, table.c.uid, table.c.revision).select_from(query.source)
    # A number that is part of the statement is known to a plan that is kept; a bound one counts as a tenth of all.
    most: int | ColumnElement[Any] = literal_column(str(limit)) if begins_name(wanted.conditions) else limit
    found = page(rows.where(*query.where), keys, last, most).subquery("page")
    fits = version_where(_READY if having is None else having)
    newest, is_newest = _newest(found.c.uid, fits, postgresql=postgresql)
    columns = newest.c.uid, newest.c.revision, aliases_of(newest.c.uid)
    return select(*columns, found).select_from(found.outerjoin(newest, is_newest)).order_by(*again(keys, found))


def _newest(model_uid: ColumnElement[str], fits: Bool, *, postgresql: bool) -> tuple[FromClause, Bool]:
    """The newest live version of each model that fits, and on what it is joined."""
    live = select(version).where(version.c.model_uid == model_uid, LIVE, fits)
    if postgresql:  # half of the time goes into planning, and this is planned in less
        only = live.with_only_columns(version.c.uid, version.c.revision).order_by(NEWEST).limit(literal_column("1"))
        return only.lateral("newest"), true()
    number = live.with_only_columns(func.max(version.c.number)).correlate(model_uid.table).scalar_subquery()
    newest = version.alias("newest")
    return newest, (newest.c.model_uid == model_uid) & (newest.c.number == number)


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
