"""Linking nodes, and asking what came from what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.lineage import Links, Node, node_not_found
from registry_grpc.domain.lineage_names import LineageName
from registry_grpc.domain.lineage_rules import require_in
from registry_grpc.domain.resources import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.lineage import Edge
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.domain.resources import Model
    from registry_grpc.domain.search import Visible
    from registry_grpc.ports.lineage import Reached, Walk
    from registry_grpc.ports.store import Reader, Store, Unit

INDEXED_AT_ONCE = 100
_SHOWN = 10
"""Nodes of a cycle that its error names."""


def require_acyclic(unit: Unit, project: str, edges: Sequence[Edge], *, owner: str = "") -> None:
    """Refuse edges that would close a cycle, in place of those that `owner` has. Locks the graph of the project.

    Raises: LINEAGE_CYCLE.
    """
    if not edges:
        return
    unit.lineage.lock(project)
    cycle = unit.lineage.find_cycle(project, edges, owner=owner)
    if not cycle:
        return
    named = [str(node) for node in cycle[:_SHOWN]] + (["…"] if len(cycle) > _SHOWN else [])
    raise RegistryError(
        Reason.LINEAGE_CYCLE,
        f"{cycle[0]} would come from itself: {' from '.join([*named, str(cycle[0])])}; "
        "look at what is there with GetLineage and take back what is wrong",
        node=cycle[0].id,
        nodes=len(cycle),
    )


def require_there(unit: Unit, project: str, nodes: Sequence[tuple[Node, str]]) -> None:
    """Refuse nodes that are resources of another project, or are not there; each with its path in the request.

    Raises: INVALID_FIELD, INVALID_RESOURCE_NAME, NODE_NOT_FOUND.
    """
    for node, path in nodes:
        require_in(project, node, path)
    paths = dict(reversed(nodes))
    for node in unit.lineage.absent(list(dict.fromkeys(node for node, _ in nodes))):
        raise node_not_found(node, paths[node])


@dataclass(frozen=True, slots=True)
class LinkLineage:
    """Says that nodes came from nodes: all or nothing."""

    store: Store

    def __call__(self, call: Call[Links], project: ProjectName, edges: Sequence[Edge]) -> Committed[Links]:
        """The links as they are now, in the order asked for; those that were there as they were.

        Raises: PROJECT_NOT_FOUND, NODE_NOT_FOUND, LINEAGE_CYCLE, INVALID_FIELD for a resource of another project.
        """
        name = LineageName(project.project)

        def work(unit: Unit) -> Links:
            found = unit.projects.get(project.project)
            call.grant.require(project, tags=(found.tags,))
            require_there(unit, project.project, _ends(edges))
            require_acyclic(unit, project.project, edges)
            known = {_same(edge): edge for edge in unit.lineage.links(project.project, edges)}
            new = [edge for edge in dict.fromkeys(edges) if _same(edge) not in known]
            if new:
                revision = unit.advance(str(name))
                made = [
                    replace(edge, create_time=unit.now, creator=call.principal.name, revision=revision) for edge in new
                ]
                unit.lineage.link(project.project, made)
                unit.record(Action.CREATED, Links(name, tuple(made), revision))
                known |= {_same(edge): edge for edge in made}
            links = tuple(known[_same(edge)] for edge in edges)
            return Links(name, links, max(edge.revision for edge in links))

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class UnlinkLineage:
    """Takes links back: all or nothing."""

    store: Store

    def __call__(self, call: Call[int], project: ProjectName, edges: Sequence[Edge]) -> Committed[int]:
        """The revision of the change.

        Raises: PROJECT_NOT_FOUND, LINK_NOT_FOUND naming the first that is not there.
        """
        name = LineageName(project.project)

        def work(unit: Unit) -> int:
            found = unit.projects.get(project.project)
            call.grant.require(project, tags=(found.tags,))
            unit.lineage.lock(project.project)
            known = {_same(edge): edge for edge in unit.lineage.links(project.project, edges)}
            for edge in edges:
                if _same(edge) not in known:
                    raise _link_not_found(edge)
            revision = unit.advance(str(name))
            unit.lineage.unlink(project.project, edges)
            unit.record(Action.DELETED, Links(name, tuple(known.values()), revision))
            return revision

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetLineage:
    """What a node came from, or what came from it."""

    store: Store

    def __call__(
        self,
        project: ProjectName,
        node: Node,
        way: Walk,
        visible: Visible,
        *,
        after: tuple[int, str, str] | None,
        limit: int,
    ) -> tuple[Node, Reached]:
        """The node with what is known of it, and a keyset page.

        Raises: PROJECT_NOT_FOUND, NODE_NOT_FOUND, INVALID_FIELD for a resource of another project.
        """
        require_in(project.project, node, "node")

        def work(reader: Reader) -> tuple[Node, Reached]:
            reader.projects.require(project.project)
            found = reader.lineage.find(project.project, node, visible)
            if found is None:
                raise node_not_found(node)
            return found, reader.lineage.walk(project.project, node, way, visible, after=after, limit=limit)

        return self.store.read(work, snapshot=True)


@dataclass(frozen=True, slots=True)
class IndexMissingLineage:
    """Brings what versions say that were there before the graph into it. A job of the leader."""

    store: Store

    def __call__(self) -> int:
        """How many versions were looked at. Raises: DATABASE_UNAVAILABLE."""
        total = 0
        while self.store.read(lambda reader: reader.lineage.is_any_missing()):
            total += self.store.write(lambda unit: unit.lineage.index_missing(INDEXED_AT_ONCE)).get()
        return total


def forget_lineage(unit: Unit, gone: Project | Model) -> None:
    """Remove the graph of a project that is purged. What others say of a purged model stays: it was so."""
    if isinstance(gone, Project):
        unit.lineage.forget_project(gone.name.project)


def _ends(edges: Sequence[Edge]) -> list[tuple[Node, str]]:
    return [
        end
        for at, edge in enumerate(edges)
        for end in ((edge.downstream, f"links[{at}].downstream"), (edge.upstream, f"links[{at}].upstream"))
    ]


def _same(edge: Edge) -> tuple[Node, Node, str]:
    """What makes two links the same."""
    return edge.downstream, edge.upstream, edge.relation


def _link_not_found(edge: Edge) -> RegistryError:
    return RegistryError(
        Reason.LINK_NOT_FOUND,
        f"nobody linked that {edge.downstream} is {edge.relation.name} {edge.upstream}; what provenance, runs and "
        "deployments say is changed where it is said",
        downstream=edge.downstream.id,
        upstream=edge.upstream.id,
        relation=edge.relation.name,
    )
