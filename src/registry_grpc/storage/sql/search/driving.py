"""Which condition a search begins with.

A page in order of names is found fastest along the names when many versions fulfil the filter, and from the few that do
otherwise. Planners guess badly which of both it is (SQLite knows no distribution of values, PostgreSQL no correlation),
so it is looked up: whoever has few rows for one of the conditions that must all hold is named by uid.
"""

from __future__ import annotations

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
MANY = 30_000
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


def few_versions(session: Session, tree: Tree[Condition], visible: Visible) -> Sequence[str] | None:
    """Uids of versions among which everything is that `tree` asks for; None when there are more than `FEW`."""
    best: Sequence[str] | None = None
    for one in _candidates(tree):
        rows = rows_of_version(one)
        limit = FEW if best is None else len(best)
        found = session.all(rows.owners(in_projects(rows.table.c.project, visible)).limit(limit + 1))
        if len(found) <= limit:
            best = [row[0] for row in found]
        if best is not None and not best:
            break
    return best


def leading_rows(session: Session, tree: Tree[Condition], visible: Visible) -> Select[Any] | None:
    """Who has the rows of the condition that has the fewest, for what looks at all that is found; None without any."""
    best: Select[Any] | None = None
    least = MANY
    for one in _candidates(tree):
        rows = rows_of_version(one)
        owners = rows.owners(in_projects(rows.table.c.project, visible))
        counted = session.one(select(func.count()).select_from(owners.limit(least + 1).subquery("counted")))
        if counted is not None and counted[0] <= least:
            best, least = owners, int(counted[0])
    return best


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
