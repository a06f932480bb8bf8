"""Which version is best by a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from registry_grpc.domain.metadata import Direction
from registry_grpc.ports.search import CandidateHit
from registry_grpc.storage.sql.search.driving import in_projects
from registry_grpc.storage.sql.search.versions import BASIC, found_versions
from registry_grpc.storage.sql.tables import version, version_metric
from registry_grpc.storage.sql.version_lists import ALIASES
from registry_grpc.storage.sql.version_rows import to_version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Select, Subquery

    from registry_grpc.domain.filters.conditions import MetricKey
    from registry_grpc.domain.search import Search, Visible
    from registry_grpc.storage.sql.session import Session


def directions(session: Session, wanted: Search, metric: MetricKey) -> Collection[Direction | None]:
    """What the versions that are found say of which way a metric is better."""
    query = found_versions(session, wanted)
    row = version_metric.alias("said")
    source = query.source.join(row, row.c.version_uid == version.c.uid)
    statement = select(row.c.direction).select_from(source).where(*query.where, *_is(row, metric)).distinct()
    return [Direction(found.direction) if found.direction else None for found in session.all(statement)]


def count_candidates(session: Session, wanted: Search, metric: MetricKey) -> int:
    """How many of the versions that are found have a metric."""
    query = found_versions(session, wanted)
    values = _values(metric, wanted.visible, descending=True, name="objective")
    source = query.source.join(values, values.c.version_uid == version.c.uid)
    row = session.one(select(func.count()).select_from(source).where(*query.where))
    return int(row[0]) if row else 0


def best(
    session: Session, wanted: Search, objectives: Sequence[tuple[MetricKey, Direction]], limit: int
) -> Sequence[CandidateHit]:
    """Versions that have the first metric, the best first."""
    query = found_versions(session, wanted)
    source, values, order = query.source, [], []
    for at, (metric, direction) in enumerate(objectives):
        descending = direction is Direction.MAXIMISE
        found = _values(metric, wanted.visible, descending=descending, name=f"objective_{at}")
        source = source.join(found, found.c.version_uid == version.c.uid, isouter=at > 0)
        values.append(found.c.value.label(f"value_{at}"))
        # NULL is the largest on PostgreSQL and the least on SQLite; here it is always the worst.
        order += [found.c.value.is_(None), found.c.value.desc() if descending else found.c.value]
    names = (version.c.project, version.c.model, version.c.number.desc())
    statement: Select[Any] = (
        select(*BASIC, ALIASES, *values)
        .select_from(source)
        .where(*query.where)
        .order_by(*order, version.c.create_time.desc(), *names)
        .limit(limit)
    )
    return [
        CandidateHit(to_version(row), tuple(getattr(row, f"value_{at}") for at in range(len(objectives))))
        for row in session.all(statement)
    ]


def _values(metric: MetricKey, visible: Visible, *, descending: bool, name: str) -> Subquery:
    """By version, the best of its values of a metric."""
    table = version_metric
    chosen = func.max(table.c.value) if descending else func.min(table.c.value)
    return (
        select(table.c.version_uid, chosen.label("value"))
        .where(in_projects(table.c.project, visible), *_is(table, metric))
        .group_by(table.c.version_uid)
        .subquery(name)
    )


def _is(table: Any, metric: MetricKey) -> list[Any]:  # noqa: ANN401 - the table or an alias
    wanted = [table.c.name == metric.name, table.c.slice == metric.slice, table.c.value.is_not(None)]
    wanted += [table.c.dataset == metric.dataset] if metric.dataset is not None else []
    wanted += [table.c.dataset_version == metric.dataset_version] if metric.dataset_version is not None else []
    return wanted
