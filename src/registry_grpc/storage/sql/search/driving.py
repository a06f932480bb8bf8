"""Which condition a search begins with.

A page in order of names is found fastest along the names when many versions fulfil the filter, and from the few that do
otherwise. Planners guess badly which of both it is (SQLite knows no distribution of values, PostgreSQL no correlation),
so it is looked up: whoever has few rows for one of the conditions that must all hold is named by uid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, select

from registry_grpc.domain.filters.conditions import Comparison, Condition
from registry_grpc.domain.filters.fields import VERSION_FIELDS, Shape
from registry_grpc.domain.filters.tree import And
from registry_grpc.storage.sql.search.compiling import VERSION_COLUMNS
from registry_grpc.storage.sql.search.rows import rows_of_version
from registry_grpc.storage.sql.tables import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.search import Visible
    from registry_grpc.storage.sql.session import Session

FEW = 1000
"""Named one by one."""
SORTED = 4000
"""Looking up and sorting so many takes less time than looking at each version along the names until a page is full."""
MANY = 30_000
"""For what looks at all that is found."""
_TRIED = 8
_ALONG_AN_INDEX = frozenset(
    {
        Comparison.EQUAL,
        Comparison.BEGINS,
        Comparison.LESS,
        Comparison.AT_MOST,
        Comparison.MORE,
        Comparison.AT_LEAST,
        Comparison.PRESENT,
    }
)
_ELSEWHERE = frozenset({"aliases", "deployed", "executable"})


@dataclass(frozen=True, slots=True)
class Lead:
    """The versions a search begins with: their uids, or what selects these."""

    versions: Sequence[str] | Select[Any]
    rest: Tree[Condition]
    """What is still to be asked of them."""


def lead_to_page(session: Session, tree: Tree[Condition], visible: Visible) -> Lead | None:
    """What a page in order of names begins with; None when too many versions fulfil each of the conditions."""
    best: Sequence[str] | None = None
    chosen: Condition | None = None
    for one in _candidates(tree):
        rows = rows_of_version(one)
        limit = FEW if best is None else len(best)
        found = session.all(rows.owners(in_projects(rows.table.c.project, visible)).limit(limit + 1))
        if len(found) <= limit:
            best, chosen = [row[0] for row in found], one
        if best is not None and not best:
            break
    if best is None or chosen is None:
        return lead_to_all(session, tree, visible, SORTED)
    return Lead(best, _without(tree, chosen))


def lead_to_all(session: Session, tree: Tree[Condition], visible: Visible, most: int = MANY) -> Lead | None:
    """What a search begins with that looks at all it finds: who fulfils the condition with the fewest rows."""
    best: Lead | None = None
    least = most
    for one in _candidates(tree):
        rows = rows_of_version(one)
        among = in_projects(rows.table.c.project, visible)
        # Rows, not owners: telling these apart takes longer than the answer is worth.
        counted = session.one(select(func.count()).select_from(rows.of_all(among).limit(least + 1).subquery("counted")))
        if counted is not None and counted[0] <= least:
            best, least = Lead(rows.owners(among), _without(tree, one)), int(counted[0])
    return best


def _without(tree: Tree[Condition], condition: Condition) -> Tree[Condition]:
    """`tree` without a condition that is fulfilled."""
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return And(tuple(part for part in parts if part is not condition))


def _candidates(tree: Tree[Condition]) -> list[Condition]:
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return [part for part in parts if isinstance(part, Condition) and _is_led_to(part)][:_TRIED]


def _is_led_to(one: Condition) -> bool:
    """Whether an index leads to the rows of a condition, and to nothing else that fulfils it."""
    if one.field in VERSION_COLUMNS or one.field in _ELSEWHERE or one.field.startswith("deployments."):
        return False
    single = VERSION_FIELDS[one.field].shape is Shape.ONE
    return one.comparison in _ALONG_AN_INDEX and not (single and one.operand == "")


def in_projects(of: ColumnElement[str], visible: Visible) -> ColumnElement[bool]:
    """Rows of the projects in which something is visible; indexes begin with them."""
    if visible.everywhere:
        return of.in_(select(project.c.id))
    return of.in_(sorted(visible.projects | {name for name, _ in visible.models}))
