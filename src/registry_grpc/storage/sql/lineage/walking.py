"""The edges of the graph, from every table that has some, and the way along them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    union_all,
)

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.domain.lineage import DEPLOYMENT, EVIDENCE, LineageDirection, LineageRelation, NodeType
from registry_grpc.storage.sql.columns import Choice, Moment
from registry_grpc.storage.sql.tables import deployment, evidence, lineage_edge, project

if TYPE_CHECKING:
    from registry_grpc.domain.search import Visible

Bool = ColumnElement[bool]
_TYPE, _RELATION = Choice(NodeType), Choice(LineageRelation)


class Edges:
    """The edges of the graph as selects with the columns `near`, `far`, what `far` is, and what the edge says."""

    def __init__(self, direction: LineageDirection, *, postgresql: bool) -> None:
        """Seen by whoever comes from `near` in that direction."""
        self.postgresql = postgresql
        self._upstream = direction is LineageDirection.UPSTREAM

    def selects(self) -> list[Select[Any]]:
        """One for each table, of the same columns and collations: a recursion takes no others."""
        return [self._written(), self._deployments(), self._evidence()]

    def text(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text that sorts by its bytes."""
        return type_coerce(collate(value, "C"), value.type) if self.postgresql else value

    def _written(self) -> Select[Any]:
        table = lineage_edge
        near, far = ("down", "up") if self._upstream else ("up", "down")
        return select(
            table.c[near].label("near"),
            *self._far(
                table.c[far],
                table.c[f"{far}_type"],
                table.c[f"{far}_id"],
                table.c[f"{far}_project"],
                table.c[f"{far}_model"],
            ),
            *self._said(table.c.relation, table.c.origin),
            table.c.create_time.label("create_time"),
            self.text(table.c.creator).label("creator"),
        )

    def _deployments(self) -> Select[Any]:
        table = deployment
        begin, middle = literal_column("'projects/'", Text), literal_column("'/deployments/'", Text)
        name = begin + table.c.project + middle + table.c.id
        itself = (table.c.uid, _word(NodeType.DEPLOYMENT, _TYPE), name)
        found = self._joined(table, itself, LineageRelation.RUNS, DEPLOYMENT)
        return found.where(table.c.state != DeploymentState.RETIRED)

    def _evidence(self) -> Select[Any]:
        table = evidence
        name = _version_name(table) + literal_column("'/evidence/'") + table.c.id
        itself = (table.c.id, _word(NodeType.EVALUATION_REPORT, _TYPE), name)
        return self._joined(table, itself, LineageRelation.EVALUATES, EVIDENCE)

    def _joined(self, table: Any, itself: Any, relation: LineageRelation, origin: str) -> Select[Any]:  # noqa: ANN401 -- a table, and three columns
        of = (table.c.version_uid, _word(NodeType.MODEL_VERSION, _TYPE), _version_name(table))
        near, far = (itself, of) if self._upstream else (of, itself)
        return select(
            near[0].label("near"),
            *self._far(*far, table.c.project, table.c.model),
            *self._said(_word(relation, _RELATION), literal_column(f"'{origin}'", Text)),
            cast(null(), Moment).label("create_time"),
            self.text(literal_column("''", Text)).label("creator"),
        )

    def _far(self, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        names = ("far", "far_type", "far_id", "far_project", "far_model")
        return [self.text(column).label(name) for column, name in zip(columns, names, strict=True)]

    def _said(self, relation: ColumnElement[Any], origin: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        return [self.text(relation).label("relation"), self.text(origin).label("origin")]


def _word(value: NodeType | LineageRelation, kind: Choice) -> ColumnElement[Any]:
    return literal_column(f"'{value.value}'", kind)


def _version_name(table: Any) -> Any:  # noqa: ANN401 -- a table
    number: Column[int] = table.c.number
    return (
        literal_column("'projects/'", Text)
        + table.c.project
        + literal_column("'/models/'", Text)
        + table.c.model
        + literal_column("'/versions/'", Text)
        + cast(number, Text)
    )


def touching(visible: Visible, home: str) -> Select[Any]:
    """An edge that leads to the node whose key is bound as `key`, from or to what may be seen."""
    ways = []
    for here, there in (("down", "up"), ("up", "down")):
        end = lineage_edge.alias(f"edge_{here}")
        may = seen(end.c[f"{there}_project"], end.c[f"{there}_model"], visible, home)
        ways.append(exists().where(end.c[here] == bindparam("key"), may))
    return select(literal_column("1")).where(or_(*ways))


def seen(of_project: Any, of_model: Any, visible: Visible, home: str) -> Bool:  # noqa: ANN401 -- columns
    """Whether an end may be seen: by the rights of the caller, and when its project is not deleted."""
    live = or_(of_project.in_(["", home]), of_project.in_(_LIVE_PROJECTS))
    if visible.everywhere:
        return live
    whole = of_project.in_(["", *sorted(visible.projects)])
    alone = tuple_(of_project, of_model).in_(sorted(visible.models))
    return and_(live, or_(whole, alone) if visible.models else whole)


_LIVE_PROJECTS = select(project.c.id).where(project.c.delete_time.is_(None))


def walked(edges: Edges, visible: Visible, home: str) -> CTE:
    """What is reached from the node bound as `root`: key, type, id, and every distance up to the bound `furthest`.

    A node is there once for each distance at which it can be reached, so that the walk ends on a cycle too.
    """
    start = select(
        edges.text(cast(bindparam("root"), Text)).label("key"),
        edges.text(type_coerce(cast(bindparam("root_type"), Text), _TYPE)).label("type"),
        edges.text(cast(bindparam("root_id"), Text)).label("id"),
        cast(literal_column("0"), Integer).label("distance"),
    ).cte("walk", recursive=True)
    terms = []
    for hop in _hops(edges, start, edges.selects(), start.c.key):
        on = true() if edges.postgresql else hop.c.near == start.c.key
        terms.append(
            select(hop.c.far, hop.c.far_type, hop.c.far_id, start.c.distance + 1)
            .select_from(start.join(hop, on))
            .where(
                start.c.distance < bindparam("furthest", type_=Integer),
                seen(hop.c.far_project, hop.c.far_model, visible, home),
            )
        )
    return start.union(*terms)


def _hops(edges: Edges, start: CTE, selects: list[Select[Any]], at: ColumnElement[Any]) -> list[Any]:
    """PostgreSQL takes one recursive term; SQLite goes along the indexes only of plain selects."""
    if not edges.postgresql:
        return [one.subquery(f"hop_{number}") for number, one in enumerate(selects)]
    return [union_all(*(one.where(one.selected_columns.near == at).correlate(start) for one in selects)).lateral("hop")]


def nearest(walk: CTE) -> CTE:
    """Each key with the least distance."""
    return (
        select(walk.c.key, walk.c.type, walk.c.id, func.min(walk.c.distance).label("distance"))
        .group_by(walk.c.key, walk.c.type, walk.c.id)
        .cte("nearest")
    )


def above(*, postgresql: bool) -> Select[Any]:
    """Every edge on the way up from the keys bound as `of`, but for those of the owner bound as `without`."""
    edges = Edges(LineageDirection.UPSTREAM, postgresql=postgresql)
    written, *others = edges.selects()
    selects = [written.where(lineage_edge.c.owner != bindparam("without")), *others]
    names = ("near", "far", "far_type", "far_id")
    keys: Any = bindparam("of", expanding=True)
    first = union_all(*(one.where(one.selected_columns.near.in_(keys)) for one in selects)).subquery("first")
    start = select(*(first.c[name] for name in names)).cte("above", recursive=True)
    terms = []
    for hop in _hops(edges, start, selects, start.c.far):
        on = true() if postgresql else hop.c.near == start.c.far
        terms.append(select(*(hop.c[name] for name in names)).select_from(start.join(hop, on)))
    return select(start.union(*terms))
