"""Which condition a search begins with.

A page in order of names is found fastest along the names when many versions fulfil the filter, and from the few that do
otherwise. Planners guess badly which of both it is (SQLite knows no distribution of values, PostgreSQL no correlation),
so it is looked up: whoever has few rows for one of the conditions that must all hold is named by uid. What equals one
text is read in order of names, along its index, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, select

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
from registry_grpc.domain.filters.fields import VERSION_FIELDS, Shape
from registry_grpc.domain.filters.tree import And
from registry_grpc.storage.sql.search.compiling import VERSION_COLUMNS
from registry_grpc.storage.sql.search.kept import kept
from registry_grpc.storage.sql.search.rows import rows_of_version
from registry_grpc.storage.sql.tables import project, version, version_term

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Select
    from sqlalchemy.sql.selectable import NamedFromClause

    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.search import Search, Visible
    from registry_grpc.storage.sql.session import Session

FEW = 1000
"""Named one by one."""
SORTED = 4000
"""Looking up and sorting so many takes less time than looking at each version along the names until a page is full."""
MANY = 30_000
"""For what looks at all that is found."""
UIDS = "lead"
"""The parameter for the uids of versions that are named."""
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


class How(Enum):
    """How a search comes to the versions it begins with."""

    NAMED = auto()
    """They are few: their uids are bound to `UIDS`."""
    SELECTED = auto()
    WALKED = auto()
    """In order of names, along an index that has one row for each of them."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The versions a search begins with: those that fulfil a condition."""

    how: How
    by: Condition

    def rest(self, tree: Tree[Condition]) -> Tree[Condition]:
        """What of the filter is still to be asked of them."""
        parts = tree.parts if isinstance(tree, And) else (tree,)
        return And(tuple(part for part in parts if part != self.by))


def lead_to_page(session: Session, wanted: Search, *, by_name: bool = False) -> tuple[Lead | None, Sequence[str]]:
    """What a page begins with, and the uids if it names them; None when too many versions fulfil each condition.

    `by_name`: it is in order of names.
    """
    candidates = _candidates(wanted.conditions)
    ordered = by_name and is_one_project(wanted.visible)
    in_order = [one for one in candidates if _is_in_order(one)] if ordered else []
    if len(candidates) == len(in_order) == 1:  # nothing to choose from
        return Lead(How.WALKED, in_order[0]), ()
    fewest, count = _fewest(session, wanted, candidates, SORTED)
    if in_order and (fewest is None or fewest in in_order):
        return Lead(How.WALKED, fewest or in_order[0]), ()
    if fewest is None:
        return None, ()
    if count > FEW:
        return Lead(How.SELECTED, fewest), ()
    return Lead(How.NAMED, fewest), [row[0] for row in session.all(_owners(wanted, fewest))]


def lead_to_all(session: Session, wanted: Search) -> Lead | None:
    """What a search begins with that looks at all it finds: who fulfils the condition with the fewest rows."""
    fewest, _ = _fewest(session, wanted, _candidates(wanted.conditions), MANY)
    return None if fewest is None else Lead(How.SELECTED, fewest)


def led_to(lead: Lead, visible: Visible) -> ColumnElement[bool]:
    """That a version is one of those that are named or selected."""
    if lead.how is How.NAMED:
        return version.c.uid.in_(bindparam(UIDS, expanding=True))
    return version.c.uid.in_(_owned(lead.by, visible))


def walk(lead: Lead, visible: Visible) -> tuple[NamedFromClause[Any], Sequence[ColumnElement[bool]]]:
    """The rows of the index, and which of them."""
    walked, rows = version_term.alias("walked"), rows_of_version(lead.by)
    return walked, [in_projects(walked.c.project, visible), *rows.predicates(dict(walked.c.items()))]


def _fewest(
    session: Session, wanted: Search, candidates: Sequence[Condition], most: int
) -> tuple[Condition | None, int]:
    """The condition with the fewest rows, and how many; None when all have more than `most`."""
    best: Condition | None = None
    least = most
    for one in candidates:
        counted = session.one(_count(wanted, one), {"most": least + 1})
        if counted is not None and counted[0] <= least:
            best, least = one, int(counted[0])
    return best, least


@kept
def _count(wanted: Search, one: Condition) -> Select[Any]:
    rows = rows_of_version(one)
    among = in_projects(rows.table.c.project, wanted.visible)
    # Rows, not owners: telling these apart takes longer than the answer is worth.
    found = rows.of_all(among).limit(bindparam("most", type_=Integer)).subquery("counted")
    return select(func.count()).select_from(found)


@kept
def _owners(wanted: Search, one: Condition) -> Select[Any]:
    return _owned(one, wanted.visible)


def _owned(one: Condition, visible: Visible) -> Select[Any]:
    rows = rows_of_version(one)
    return rows.owners(in_projects(rows.table.c.project, visible))


def _is_in_order(one: Condition) -> bool:
    """Whether it says what one text must be, of which a version has one row."""
    is_one_text = one.kind is Kind.TEXT and one.comparison is Comparison.EQUAL and one.field != "metrics"
    return is_one_text and (one.key is not None or VERSION_FIELDS[one.field].shape in {Shape.ONE, Shape.MANY})


def is_one_project(visible: Visible) -> bool:
    """Whether all that is visible lies in one project."""
    return not visible.everywhere and len(visible.projects | {project for project, _ in visible.models}) == 1


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
    return one_of(of, visible.projects | {name for name, _ in visible.models})


def one_of(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """That a column has one of the values. SQLAlchemy writes a list into the statement anew for every run."""
    ordered = sorted(values)
    return column == ordered[0] if len(ordered) == 1 else column.in_(ordered)
