"""Under which key a node stands in the graph, and whose rights decide who sees it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import bindparam, select, tuple_

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.evidence_names import EvidenceName
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.domain.lineage_rules import resource_of
from registry_grpc.domain.names import DeploymentName, VersionName
from registry_grpc.storage.sql.tables import deployment, evidence, run, version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Select

    from registry_grpc.domain.lineage import Node
    from registry_grpc.domain.lineage_rules import Resource
    from registry_grpc.storage.sql.session import Record, Session

N = TypeVar("N")
_AT_ONCE = 500
_KEY_CHARS = 32


def _named(*columns: Column[Any]) -> ColumnElement[bool]:
    return tuple_(*columns).in_(bindparam("names", expanding=True))


_VERSION = (version.c.project, version.c.model, version.c.number)
_VERSIONS = select(*_VERSION, version.c.uid, version.c.delete_time).where(_named(*_VERSION))
_DEPLOYMENT = (deployment.c.project, deployment.c.id)
_DEPLOYMENTS = select(*_DEPLOYMENT, deployment.c.uid, deployment.c.model).where(_named(*_DEPLOYMENT))
_ITEM = (evidence.c.project, evidence.c.model, evidence.c.number, evidence.c.id)
_EVIDENCE = select(*_ITEM).where(_named(*_ITEM))
_RUN = (run.c.project, run.c.id)
_RUNS = select(*_RUN).where(_named(*_RUN))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands."""

    key: str
    project: str = ""
    """Empty where no rights are needed to see it, as the next."""
    model: str = ""
    is_there: bool = True
    """Whether the resource it names is; of what is no resource nobody knows."""


def local_key(project: str, node: Node) -> str:
    """The key of what is known by type and id alone, within a project."""
    text = f"{project}\n{node.type.value}\n{node.id}"
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_CHARS]


def places(session: Session, project: str, nodes: Collection[Node]) -> dict[Node, Place]:
    """Where each node stands; one that names a resource which is not there has a key nobody else has."""
    named = {node: _resource(node) for node in nodes}
    found = {
        **_versions(session, [name for name in named.values() if isinstance(name, VersionName)]),
        **_deployments(session, [name for name in named.values() if isinstance(name, DeploymentName)]),
        **_evidence(session, [name for name in named.values() if isinstance(name, EvidenceName)]),
        **_runs(session, [name for name in named.values() if isinstance(name, RunName)]),
    }
    return {node: _place(project, node, name, found) for node, name in named.items()}


def _place(project: str, node: Node, name: Resource | None, found: Mapping[Resource, Place]) -> Place:
    if name is None:
        return Place(local_key(project, node))
    if isinstance(name, RunName):
        # By its name and not by a uid: a version may name a run that is recorded only later.
        return Place(local_key(name.project, node), is_there=name in found)
    if name in found:
        return found[name]
    model = "" if isinstance(name, DeploymentName) else name.model
    return Place(local_key(name.project, node), name.project, model, is_there=False)


def _resource(node: Node) -> Resource | None:
    try:
        return resource_of(node)
    except RegistryError:  # what a version says of its run may look like a name and be none
        return None


def _versions(session: Session, names: Sequence[VersionName]) -> Mapping[Resource, Place]:
    return {
        VersionName(row.project, row.model, row.number): Place(
            row.uid, row.project, row.model, is_there=row.delete_time is None
        )
        for row in _rows(session, _VERSIONS, names, lambda name: (name.project, name.model, name.number))
    }


def _deployments(session: Session, names: Sequence[DeploymentName]) -> Mapping[Resource, Place]:
    return {
        DeploymentName(row.project, row.id): Place(row.uid, row.project, row.model)
        for row in _rows(session, _DEPLOYMENTS, names, lambda name: (name.project, name.deployment))
    }


def _evidence(session: Session, names: Sequence[EvidenceName]) -> Mapping[Resource, Place]:
    return {
        EvidenceName(row.project, row.model, row.number, row.id): Place(row.id, row.project, row.model)
        for row in _rows(session, _EVIDENCE, names, lambda name: (name.project, name.model, name.number, name.id))
    }


def _runs(session: Session, names: Sequence[RunName]) -> Mapping[Resource, Place]:
    return {
        RunName(row.project, row.id): Place("")
        for row in _rows(session, _RUNS, names, lambda name: (name.project, name.run))
    }


def _rows(
    session: Session, statement: Select[Any], names: Sequence[N], columns: Callable[[N], tuple[object, ...]]
) -> Iterator[Record]:
    wanted = [columns(name) for name in names]
    for start in range(0, len(wanted), _AT_ONCE):
        yield from session.all(statement, {"names": wanted[start : start + _AT_ONCE]})
