"""Conditions of a filter as SQL. Two-valued: no expression made here is ever NULL, so NOT is what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from sqlalchemy import ColumnElement, and_, exists, false, not_, or_, true

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.domain.filters.conditions import Comparison, Condition
from registry_grpc.domain.filters.fields import VERSION_FIELDS, Shape
from registry_grpc.domain.filters.tree import folded
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.storage.sql.search.matching import begins, matches
from registry_grpc.storage.sql.search.rows import rows_of_model, rows_of_version
from registry_grpc.storage.sql.tables import deployment, pointer
from registry_grpc.storage.sql.tables import model as model_table
from registry_grpc.storage.sql.tables import version as version_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.domain.filters.tree import Tree

Bool = ColumnElement[bool]
_NEGATED = {Comparison.UNEQUAL: Comparison.EQUAL, Comparison.NOT_BEGINS: Comparison.BEGINS}
VERSION_COLUMNS = {
    name: version_table.c[name]
    for name, field in VERSION_FIELDS.items()
    if field.shape is Shape.ONE and name in version_table.c and name not in {"owner", "creator"}
}
"""Fields that are columns. Owner and creator are kept as terms, by which one is found among many."""
MODEL_COLUMNS = {
    **{name: model_table.c[name] for name in ("project", "display_name", "owner", "creator", "description")},
    **{name: model_table.c[name] for name in ("create_time", "update_time", "delete_time")},
    "model": model_table.c.id,
}
_DEPLOYMENT_COLUMNS = {
    "deployments.environment": deployment.c.environment,
    "deployments.cluster": deployment.c.cluster,
    "deployments.state": deployment.c.state,
}


def version_where(tree: Tree[Condition], *, one_by_one: bool = False) -> Bool:
    """What a filter asks of rows of `version`; `one_by_one` when there are few of these, each to be looked at."""
    return _folded(tree, lambda one: _of_version(one, one_by_one))


def begins_name(tree: Tree[Condition]) -> TypeGuard[Condition]:
    """Whether a filter says how names of models begin, and nothing else: they are read along their index, always."""
    return isinstance(tree, Condition) and tree.field == "model" and tree.comparison is Comparison.BEGINS


def model_where(tree: Tree[Condition]) -> Bool:
    """What a filter asks of rows of `model`."""
    if begins_name(tree):
        return begins(model_table.c.id, str(tree.operand), unseen=True)
    return _folded(tree, _of_model)


def _folded(tree: Tree[Condition], leaf: Callable[[Condition], Bool]) -> Bool:
    return folded(
        tree,
        leaf,
        every=lambda parts: and_(true(), *parts),
        some=lambda parts: or_(false(), *parts),
        negated=not_,
    )


def _of_model(one: Condition) -> Bool:
    if one.field == "tags":
        return rows_of_model(one).exist()
    return matches(MODEL_COLUMNS[one.field], one)


def _of_version(one: Condition, one_by_one: bool) -> Bool:  # noqa: FBT001 - passed on
    if one.field == "aliases":
        mine = and_(pointer.c.version_uid == version_table.c.uid, pointer.c.kind == PointerKind.ALIAS)
        return exists().where(mine, matches(pointer.c.id, one))
    if one.field == "deployed":
        live = exists().where(_running())
        return live if (one.comparison is Comparison.EQUAL) == one.operand else not_(live)
    if one.field in _DEPLOYMENT_COLUMNS:
        return exists().where(_running(), matches(_DEPLOYMENT_COLUMNS[one.field], one))
    if one.field in VERSION_COLUMNS:
        return matches(VERSION_COLUMNS[one.field], one)
    return _by_rows(one, one_by_one)


def _by_rows(one: Condition, one_by_one: bool) -> Bool:  # noqa: FBT001 - passed on
    """Of fields that are kept as rows. One text that is empty has no row."""
    if one.field == "executable":
        found = rows_of_version(replace(one, comparison=Comparison.PRESENT)).exist(one_by_one=one_by_one)
        return found if (one.comparison is Comparison.EQUAL) == one.operand else not_(found)
    if VERSION_FIELDS[one.field].shape is not Shape.ONE or one.comparison is Comparison.PRESENT:
        return rows_of_version(one).exist(one_by_one=one_by_one)
    positive = _NEGATED.get(one.comparison)
    if positive is not None:
        return not_(_by_rows(replace(one, comparison=positive), one_by_one))
    if not one.operand:
        # What is empty equals the empty text; everything begins with it, and has it inside.
        present = rows_of_version(replace(one, comparison=Comparison.PRESENT)).exist(one_by_one=one_by_one)
        return not_(present) if one.comparison is Comparison.EQUAL else true()
    return rows_of_version(one).exist(one_by_one=one_by_one)


def _running() -> Bool:
    return and_(deployment.c.version_uid == version_table.c.uid, deployment.c.state != DeploymentState.RETIRED)
