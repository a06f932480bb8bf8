"""One page of what a walk reaches, with the edges that lead to it, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, literal_column, select, true, tuple_, union_all

from registry_grpc.domain.lineage import MAX_STEP_EDGES, Edge, LineageDirection, Node, Step
from registry_grpc.ports.lineage import Reached
from registry_grpc.storage.sql.lineage.describing import described
from registry_grpc.storage.sql.lineage.walking import Edges, nearest, walked
from registry_grpc.storage.sql.search.matching import unindexed

if TYPE_CHECKING:
    from sqlalchemy import CTE, Select, Subquery

    from registry_grpc.domain.search import Visible
    from registry_grpc.ports.lineage import Walk
    from registry_grpc.storage.sql.session import Record, Session


@dataclass(frozen=True, slots=True)
class Start:
    """Where a walk begins, and for whom."""

    project: str
    node: Node
    key: str
    visible: Visible


def reach(session: Session, start: Start, way: Walk, *, after: tuple[int, str, str] | None, limit: int) -> Reached:
    """See `ports.lineage.Lineage.walk`."""
    edges = Edges(way.direction, postgresql=session.connection.dialect.name == "postgresql")
    known = nearest(walked(edges, start.visible, start.project))
    found = _found(known, start.node)
    page = _page(found, way, after=after, limit=limit)
    rows = session.all(
        _with_edges(edges, known, found, page, way.depth),
        {
            "root": start.key,
            "root_type": start.node.type.value,
            "root_id": start.node.id,
            "furthest": way.depth + 1,
        },
    )
    steps = [
        _step(list(group), way.direction)
        for _, group in groupby((row for row in rows if row.type is not None), key=lambda row: (row.type, row.id))
    ]
    keys = {Node(row.type, row.id): row.key for row in rows if row.type is not None}
    return Reached(described(session, steps, keys), bool(rows[0].truncated))


def _found(known: CTE, root: Node) -> CTE:
    """Every node but the root, once: copies of a version say the same of the same thing in two projects."""
    return (
        select(
            known.c.type,
            known.c.id,
            func.min(known.c.key).label("key"),
            func.min(known.c.distance).label("distance"),
        )
        .where(known.c.distance > 0, ~and_(known.c.type == root.type, known.c.id == root.id))
        .group_by(known.c.type, known.c.id)
        .cte("found")
    )


def _page(found: CTE, way: Walk, *, after: tuple[int, str, str] | None, limit: int) -> CTE:
    """The nodes of the page."""
    page = select(found).where(found.c.distance <= way.depth)
    if way.types:
        page = page.where(found.c.type.in_(sorted(way.types)))
    if after is not None:
        page = page.where(tuple_(found.c.distance, found.c.type, found.c.id) > tuple_(*after))
    return page.order_by(found.c.distance, found.c.type, found.c.id).limit(limit).cte("page")


def _with_edges(edges: Edges, known: CTE, found: CTE, page: CTE, depth: int) -> Select[Any]:
    """Every node of the page, beside each of its edges; one row without a node when there is none."""
    further: Select[Any] = select(literal_column("1")).where(found.c.distance > depth)
    one = select(further.exists().label("truncated")).subquery("one")
    leads = _leads(edges, known, page)
    same = and_(leads.c.page_type == page.c.type, leads.c.page_id == page.c.id, leads.c.nth <= MAX_STEP_EDGES)
    told = [leads.c[name] for name in ("near_type", "near_id", "relation", "origin", "create_time", "creator")]
    return (
        select(one.c.truncated, page.c.key, page.c.type, page.c.id, page.c.distance, *told)
        .select_from(one.outerjoin(page, true()).outerjoin(leads, same))
        .order_by(page.c.distance, page.c.type, page.c.id, leads.c.nth)
    )


def _leads(edges: Edges, known: CTE, page: CTE) -> Subquery:
    """The edges between nodes of the page and what is nearer, numbered for each node."""
    here, nearer = known.alias("here"), known.alias("nearer")
    # By itself, so that the few of the page lead to their edges, and not every edge of the walk to the page.
    spot = (
        select(here.c.key, page.c.type, page.c.id, page.c.distance)
        .select_from(page.join(here, and_(here.c.type == page.c.type, here.c.id == page.c.id)))
        .cte("spot")
    )
    parts = []
    for at, each in enumerate(edges.selects()):
        edge = each.subquery(f"edge_{at}")
        parts.append(
            select(
                spot.c.type.label("page_type"),
                spot.c.id.label("page_id"),
                nearer.c.type.label("near_type"),
                nearer.c.id.label("near_id"),
                nearer.c.distance.label("near_distance"),
                edge.c.relation,
                edge.c.origin,
                edge.c.create_time,
                edge.c.creator,
            )
            .select_from(spot)
            .join(edge, edge.c.far == spot.c.key)
            .join(nearer, nearer.c.key == unindexed(edge.c.near))
            .where(nearer.c.distance < spot.c.distance)
        )
    all_of = union_all(*parts).subquery("lead")
    order = (all_of.c.near_distance, all_of.c.near_type, all_of.c.near_id, all_of.c.relation, all_of.c.origin)
    nth = func.row_number().over(partition_by=(all_of.c.page_type, all_of.c.page_id), order_by=order)
    return select(all_of, nth.label("nth")).subquery("leads")


def _step(rows: list[Record], direction: LineageDirection) -> Step:
    first = rows[0]
    node = Node(first.type, first.id)
    edges = []
    for row in rows:
        if row.near_type is None:
            continue
        near = Node(row.near_type, row.near_id)
        down, up = (near, node) if direction is LineageDirection.UPSTREAM else (node, near)
        edges.append(Edge(down, up, row.relation, row.origin, row.create_time, row.creator))
    return Step(node, first.distance, tuple(dict.fromkeys(edges)))
