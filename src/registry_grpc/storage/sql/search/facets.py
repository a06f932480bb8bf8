"""How often values occur among what a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, and_, func, select, type_coerce

from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.ports.search import FacetCount
from registry_grpc.storage.sql.search.compiling import MODEL_COLUMNS, VERSION_COLUMNS
from registry_grpc.storage.sql.search.driving import in_projects
from registry_grpc.storage.sql.search.models import found_models
from registry_grpc.storage.sql.search.versions import found_versions, is_postgresql
from registry_grpc.storage.sql.tables import deployment, model, model_term, pointer, version, version_term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause, Table

    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.search import Facet, Search
    from registry_grpc.storage.sql.search.versions import Query
    from registry_grpc.storage.sql.session import Session

_RUNNING = (deployment.c.version_uid == version.c.uid) & (deployment.c.state != DeploymentState.RETIRED)
_REPEATED = frozenset({"dependencies"})
"""One version may have a key several times: a package of two ecosystems."""
_OF_DEPLOYMENTS = {
    "deployments.environment": deployment.c.environment,
    "deployments.cluster": deployment.c.cluster,
    "deployments.state": deployment.c.state,
}


def version_facet(session: Session, wanted: Search, facet: Facet, limit: int) -> Sequence[FacetCount]:
    """The most frequent values of a field of versions."""
    query = found_versions(session, wanted)
    if facet.field in VERSION_COLUMNS:
        return _counted(session, VERSION_COLUMNS[facet.field], query, limit)
    if facet.field == "aliases":
        mine = and_(pointer.c.version_uid == version.c.uid, pointer.c.kind == PointerKind.ALIAS)
        return _joined(session, query, pointer, mine, pointer.c.id, limit)
    if facet.field in _OF_DEPLOYMENTS:
        # A version that runs twice at a place is there once.
        value = _OF_DEPLOYMENTS[facet.field]
        live = deployment.c.state != DeploymentState.RETIRED
        found = select(deployment.c.version_uid, value.label("value")).where(live).distinct().subquery("places")
        return _joined(session, query, found, found.c.version_uid == version.c.uid, found.c.value, limit)
    term = version_term
    mine = and_(term.c.version_uid == version.c.uid, term.c.project == version.c.project, term.c.field == facet.field)
    return _terms(session, wanted, query, term, mine, facet, limit)


def model_facet(
    session: Session, wanted: Search, having: Tree[Condition] | None, facet: Facet, limit: int
) -> Sequence[FacetCount]:
    """The most frequent values of a field of models."""
    query = found_models(wanted, having, postgresql=is_postgresql(session))
    if facet.field in MODEL_COLUMNS:
        return _counted(session, MODEL_COLUMNS[facet.field], query, limit)
    term = model_term
    mine = and_(term.c.model_uid == model.c.uid, term.c.project == model.c.project, term.c.field == facet.field)
    return _terms(session, wanted, query, term, mine, facet, limit)


def _terms(
    session: Session, wanted: Search, query: Query, term: Table, mine: ColumnElement[bool], facet: Facet, limit: int
) -> Sequence[FacetCount]:
    if facet.key:
        return _joined(session, query, term, mine & (term.c.key == facet.key), term.c.text, limit)
    # Fields with keys are counted by key, the others by text.
    value = func.coalesce(func.nullif(term.c.key, ""), term.c.text)
    if facet.field not in _REPEATED:
        return _joined(session, query, term, mine, value, limit)
    owner = term.primary_key.columns[0]
    of_field = (term.c.field == facet.field) & in_projects(term.c.project, wanted.visible)
    once = select(owner.label("owner"), value.label("value")).where(of_field).distinct().subquery("once")
    return _joined(session, query, once, once.c.owner == version.c.uid, once.c.value, limit)


def _joined(
    session: Session,
    query: Query,
    rows: FromClause,
    mine: ColumnElement[bool],
    value: ColumnElement[Any],
    limit: int,
) -> Sequence[FacetCount]:
    query.source = query.source.outerjoin(rows, mine)
    return _counted(session, value, query, limit)


def _counted(session: Session, value: ColumnElement[Any], query: Query, limit: int) -> Sequence[FacetCount]:
    many = func.count().label("many")
    # As text: nothing is no value of an enum.
    text = func.coalesce(type_coerce(value, Text), "").label("value")
    statement = select(text, many).select_from(query.source).where(*query.where)
    rows = session.all(statement.group_by(text).order_by(many.desc(), text).limit(limit))
    return [FacetCount(str(row.value), int(row.many)) for row in rows]
