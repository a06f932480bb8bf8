"""Versions that a search finds, page after page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)

from registry_grpc.ports.search import VersionHit
from registry_grpc.storage.sql.search.compiling import version_where
from registry_grpc.storage.sql.search.driving import (
    UIDS,
    How,
    in_projects,
    is_one_project,
    lead_to_all,
    lead_to_page,
    led_to,
    one_of,
    walk,
)
from registry_grpc.storage.sql.search.kept import kept
from registry_grpc.storage.sql.search.matching import unindexed
from registry_grpc.storage.sql.search.ordering import Key, again, bound, nulls_of, page, place
from registry_grpc.storage.sql.search.texts import ranked
from registry_grpc.storage.sql.tables import model, version_metric
from registry_grpc.storage.sql.tables import version as table
from registry_grpc.storage.sql.version_lists import ALIASES, aliases_of
from registry_grpc.storage.sql.version_rows import to_aliases, to_version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import FromClause, Select
    from sqlalchemy.sql.selectable import NamedFromClause

    from registry_grpc.domain.filters.conditions import MetricKey
    from registry_grpc.domain.resources import Version
    from registry_grpc.domain.search import Order, Search, Visible
    from registry_grpc.ports.search import SortValue
    from registry_grpc.storage.sql.search.driving import Lead
    from registry_grpc.storage.sql.session import Session

Bool = ColumnElement[bool]
Names = tuple[ColumnElement[Any], ...]
_LEFT_OUT = {"model_card": literal("").label("model_card"), "card": literal(None, table.c.card.type).label("card")}
BASIC = [_LEFT_OUT.get(name, table.c[name]) for name in table.c.keys()]  # noqa: SIM118
"""Columns of a version without its card."""
_READ = {
    full: select(*(table.c if full else BASIC), ALIASES).where(table.c.uid.in_(bindparam("uids", expanding=True)))
    for full in (False, True)
}
_ALIASES = aliases_of(literal_column("page.uid", table.c.uid.type))
"""Of the versions in a subquery called so; made once, for making it takes as long as finding some."""
_TIMES = frozenset({"create_time", "update_time", "finalize_time"})


@dataclass(slots=True)
class Query:
    """FROM and WHERE of a search, to which an order may add joins."""

    source: FromClause
    where: list[Bool]
    names: Names
    """What versions, or models, are sorted by in order of names."""
    rank: ColumnElement[int] | None = None
    metrics: int = 0

    def join_metric(self, metric: MetricKey, *, highest: bool, outer: bool) -> NamedFromClause[Any]:
        """The row of `version_metric` that a version is sorted by."""
        self.metrics += 1
        row = version_metric.alias(f"metric_{self.metrics}")
        self.source = self.source.join(row, _is_end(row, metric, highest=highest), isouter=outer)
        return row


def found_versions(session: Session, wanted: Search) -> Query:
    """What a search finds, for those who look at all of it."""
    return _query(wanted, lead_to_all(session, wanted), postgresql=is_postgresql(session))


def _query(wanted: Search, lead: Lead | None, *, postgresql: bool) -> Query:
    # Whoever knows the few by uid, or goes by another order, shall not look along the names.
    project = table.c.project if lead is None and _is_by_name(wanted) else unindexed(table.c.project)
    conditions = wanted.conditions if lead is None else lead.rest(wanted.conditions)
    where = [
        ~model.c.buried,
        seen(wanted.visible, project, table.c.model),
        version_where(conditions, one_by_one=lead is not None),
    ]
    if not wanted.show_deleted:
        where += [table.c.delete_time.is_(None), model.c.delete_time.is_(None)]
    source: FromClause = table.join(model, model.c.uid == table.c.model_uid)
    names = (table.c.project, table.c.model, table.c.number)
    if lead is not None and lead.how is How.WALKED:
        rows, which = walk(lead, wanted.visible)
        names = (rows.c.project, rows.c.model, rows.c.version_number)
        return Query(source.join(rows, rows.c.version_uid == table.c.uid), [*where, *which], names)
    if lead is not None:
        where.append(led_to(lead, wanted.visible))
    if not wanted.words:
        return Query(source, where, names)
    words = ranked(wanted.words, "version", postgresql=postgresql).subquery("texts")
    return Query(source.join(words, words.c.uid == table.c.uid), where, names, rank=words.c.rank)


def _is_by_name(wanted: Search) -> bool:
    """Whether its pages are in order of names."""
    return not wanted.words and (not wanted.order or wanted.order[0].field == "name")


def seen(visible: Visible, project: ColumnElement[str], model_id: ColumnElement[str]) -> Bool:
    """Rows of models that the caller may see."""
    if visible.everywhere:
        return true()
    of_projects = one_of(project, visible.projects)
    if not visible.models:
        return of_projects
    return or_(of_projects, tuple_(project, model_id).in_(sorted(visible.models)))


def search_versions(
    session: Session, wanted: Search, *, last: Sequence[SortValue] | None, limit: int
) -> Sequence[VersionHit]:
    """A page behind the row that sorted as `last`.

    With a metric first, those that have it come from one query, along its index, and the others from a second one.
    """
    by_metric = bool(wanted.order) and wanted.order[0].metric is not None
    if not by_metric:
        return _page(session, wanted, wanted.order, last, limit)
    found: list[VersionHit] = []
    if last is None or last[0] is not None:
        found += _page(session, wanted, wanted.order, last, limit)
    if len(found) < limit:
        rest = last[1:] if last is not None and last[0] is None else None
        more = _page(session, wanted, wanted.order[1:], rest, limit - len(found), without=wanted.order[0])
        found += [replace(hit, sort=(None, *hit.sort)) for hit in more]
    return found


def read_versions(session: Session, uids: Collection[str], *, full: bool) -> Mapping[str, Version]:
    """By uid, those that are there."""
    if not uids:
        return {}
    return {row.uid: to_version(row) for row in session.all(_READ[full], {"uids": list(uids)})}


def _page(
    session: Session,
    wanted: Search,
    order: tuple[Order, ...],
    last: Sequence[SortValue] | None,
    limit: int,
    *,
    without: Order | None = None,
) -> list[VersionHit]:
    uids: Sequence[str] = ()
    if wanted.words:  # what is sorted by rank is looked at whole
        lead = lead_to_all(session, wanted)
    else:
        lead, uids = lead_to_page(session, wanted, by_name=_is_by_name(wanted))
    statement = _paged(wanted, lead, order, without, nulls_of(last), limit, is_postgresql(session))
    rows = session.all(statement, {UIDS: uids, **bound(last)})
    return [VersionHit(uid, revision, to_aliases(text), tuple(sort)) for text, uid, revision, *sort in rows]


@kept
def _paged(
    wanted: Search,
    lead: Lead | None,
    order: tuple[Order, ...],
    without: Order | None,
    nulls: tuple[bool, ...] | None,
    limit: int,
    postgresql: bool,  # noqa: FBT001 - passed on
) -> Select[Any]:
    query = _query(wanted, lead, postgresql=postgresql)
    if without is not None and without.metric is not None:
        row = version_metric.alias("absent")
        query.where.append(~select(row.c.idx).where(_is_end(row, without.metric, highest=without.descending)).exists())
    keys = _keys(order, query, wanted.visible, led=without is None)
    last = None if nulls is None else place(keys, nulls)
    if last is not None and keys[0].column is query.names[0] and is_one_project(wanted.visible):
        # Says nothing new, and lets an index begin where the page does: PostgreSQL would begin where the project does.
        query.where.append(keys[1].beyond(last[1], inclusive=True))
    # The page first: nobody's aliases shall be looked up in vain.
    rows = select(table.c.uid, table.c.revision).select_from(query.source).where(*query.where)
    found = page(rows, keys, last, limit).subquery("page")
    return select(_ALIASES, found).order_by(*again(keys, found))


def _keys(order: Sequence[Order], query: Query, visible: Visible, *, led: bool) -> list[Key]:
    """The columns to sort by. `led`: a metric that comes first leads to the versions that have it."""
    keys: list[Key] = []
    for at, each in enumerate(order):
        if each.metric is not None:
            leads = led and at == 0
            row = query.join_metric(each.metric, highest=each.descending, outer=not leads)
            if leads:
                query.where.append(in_projects(row.c.project, visible))
            keys.append(Key(row.c.value, each.descending, nullable=not leads))
        elif each.field == "relevance":
            assert query.rank is not None  # noqa: S101 - only searches with words are ordered by it
            keys.append(Key(query.rank))
        elif each.field == "name":
            return [*keys, *name_keys(query, descending=each.descending)]
        else:
            column = table.c[each.field]
            keys.append(Key(plain(column), each.descending, nullable=bool(column.nullable)))
    return [*keys, *name_keys(query, descending=False)]


def name_keys(query: Query, *, descending: bool) -> list[Key]:
    """The keys of the order of names."""
    return [Key(column, descending) for column in query.names]


def plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time as the integer that it is kept as: page tokens carry it."""
    return type_coerce(column, BigInteger).label(None).element if column.key in _TIMES else column


def _is_end(row: NamedFromClause[Any], metric: MetricKey, *, highest: bool) -> Bool:
    end = row.c.highest if highest else row.c.lowest
    return and_(
        row.c.version_uid == table.c.uid,
        row.c.name == metric.name,
        row.c.slice == metric.slice,
        end,
    )


def is_postgresql(session: Session) -> bool:
    """Whether it is not SQLite."""
    return session.connection.dialect.name == "postgresql"
