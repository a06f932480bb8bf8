"""How versions are selected: with their aliases, and the lists of one model."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Label, Select, bindparam, func, literal_column, select

from registry_grpc.domain.pointers import PointerKind
from registry_grpc.storage.sql.tables import pointer
from registry_grpc.storage.sql.tables import version as table

_COMMA: Any = literal_column("','")
"""Given as a text it is written into the statement anew for every run."""


def aliases_of(uid: ColumnElement[str]) -> Label[str]:
    """The ids of the aliases of the version `uid` of an enclosing query, with commas between, in no order."""
    mine = select(func.aggregate_strings(pointer.c.id, _COMMA)).where(
        pointer.c.version_uid == uid, pointer.c.kind == PointerKind.ALIAS
    )
    return mine.correlate_except(pointer).scalar_subquery().label("aliases")


ALIASES = aliases_of(table.c.uid)
ALL = select(table, ALIASES)
OF_MODEL = ALL.where(table.c.model_uid == bindparam("model_uid"))
LIVE = table.c.delete_time.is_(None)
NEWEST = table.c.number.desc()


@cache
def list_of_model(
    *, from_start: bool, descending: bool, show_deleted: bool, by_state: bool, by_stage: bool
) -> Select[Any]:
    """A page of the versions of a model by number."""
    statement = OF_MODEL
    if not from_start:
        after = bindparam("after", type_=table.c.number.type)
        statement = statement.where(table.c.number < after if descending else table.c.number > after)
    if not show_deleted:
        statement = statement.where(LIVE)
    if by_state:
        statement = statement.where(table.c.state.in_(bindparam("states", expanding=True)))
    if by_stage:
        statement = statement.where(table.c.stage == bindparam("in_stage"))
    return statement.order_by(NEWEST if descending else table.c.number).limit(bindparam("limit"))
