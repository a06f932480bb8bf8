"""The port of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from registry_grpc.domain.cycles import find_cycle
from registry_grpc.domain.lineage import Node
from registry_grpc.domain.search import Visible
from registry_grpc.storage.sql.lineage import rows
from registry_grpc.storage.sql.lineage.describing import descriptions
from registry_grpc.storage.sql.lineage.keys import places
from registry_grpc.storage.sql.lineage.reaching import Start, reach
from registry_grpc.storage.sql.lineage.walking import above, touching
from registry_grpc.storage.sql.tables import (
    lineage_edge,
    lineage_lock,
    lineage_missing,
    lineage_node,
    run,
)
from registry_grpc.storage.sql.tables import version as version_table
from registry_grpc.storage.sql.version_lists import ALL
from registry_grpc.storage.sql.version_rows import to_version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.domain.lineage import Edge
    from registry_grpc.ports.lineage import Reached, Walk
    from registry_grpc.storage.sql.lineage.keys import Place
    from registry_grpc.storage.sql.session import Session

_INSERT = insert_or_update(lineage_lock).values(project=bindparam("of"), taken=1)
_LOCK = _INSERT.on_conflict_do_update(index_elements=["project"], set_={"taken": lineage_lock.c.taken + 1})
_MISSING = ALL.where(version_table.c.uid.in_(select(lineage_missing.c.version_uid))).limit(bindparam("limit"))
_IS_MISSING = select(lineage_missing.c.version_uid).limit(1)
_DONE = delete(lineage_missing).where(lineage_missing.c.version_uid.in_(bindparam("uids", expanding=True)))
_GONE = delete(lineage_missing).where(~exists().where(version_table.c.uid == lineage_missing.c.version_uid))
_OF_PROJECT = [
    delete(table).where(table.c.project == bindparam("of")) for table in (lineage_edge, lineage_node, lineage_lock, run)
]


class Lineage:
    """Implements `ports.lineage.Lineage`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def lock(self, project: str) -> None:
        """See the port."""
        self._session.change(_LOCK, {"of": project})

    def absent(self, nodes: Collection[Node]) -> Sequence[Node]:
        """See the port."""
        found = places(self._session, "", nodes)
        return [node for node in nodes if not found[node].is_there]

    def find_cycle(self, project: str, edges: Sequence[Edge], *, owner: str = "") -> Sequence[Node]:
        """See the port."""
        found = places(self._session, project, rows.nodes_of(edges))
        new = [(found[edge.downstream].key, found[edge.upstream].key) for edge in edges]
        named = {place.key: node for node, place in found.items()}
        known = []
        edges_above = above(postgresql=self._session.connection.dialect.name == "postgresql")
        for row in self._session.all(edges_above, {"of": sorted({up for _, up in new}), "without": owner}):
            known.append((row.near, row.far))
            named.setdefault(row.far, Node(row.far_type, row.far_id))
        return [named[key] for key in find_cycle(known, new)]

    def put(self, owner: str, project: str, edges: Sequence[Edge], revision: int) -> None:
        """See the port."""
        rows.forget_owner(self._session, owner)
        found = places(self._session, project, rows.nodes_of(edges))
        rows.write_rows(self._session, owner, project, edges, revision, found)

    def forget(self, owner: str) -> None:
        """See the port."""
        rows.forget_owner(self._session, owner)

    def links(self, project: str, edges: Sequence[Edge]) -> Sequence[Edge]:
        """See the port."""
        return rows.linked_rows(self._session, project, edges)

    def link(self, project: str, edges: Sequence[Edge]) -> None:
        """See the port."""
        found = places(self._session, project, rows.nodes_of(edges))
        revision = max((edge.revision for edge in edges), default=0)
        rows.write_rows(self._session, rows.owner_of_links(project), project, edges, revision, found)

    def unlink(self, project: str, edges: Sequence[Edge]) -> None:
        """See the port."""
        rows.unlink_rows(self._session, project, edges)

    def find(self, project: str, node: Node, visible: Visible) -> Node | None:
        """See the port."""
        place = places(self._session, project, [node])[node]
        if not _is_seen(place, visible):
            return None
        known = descriptions(self._session, {node: place.key}).get(node)
        if place.project or visible.everywhere or project in visible.projects:
            if known is not None:
                return known
            visible = Visible(everywhere=True)
        # Of what is no resource whoever sees some models knows what they say, and no more.
        return (known or node) if self._session.one(touching(visible, project), {"key": place.key}) else None

    def walk(
        self,
        project: str,
        node: Node,
        way: Walk,
        visible: Visible,
        *,
        after: tuple[int, str, str] | None,
        limit: int,
    ) -> Reached:
        """See the port."""
        place = places(self._session, project, [node])[node]
        return reach(self._session, Start(project, node, place.key, visible), way, after=after, limit=limit)

    def is_any_missing(self) -> bool:
        """See the port."""
        return self._session.one(_IS_MISSING) is not None

    def index_missing(self, limit: int) -> int:
        """See the port."""
        found = [to_version(row) for row in self._session.all(_MISSING, {"limit": limit})]
        for version in found:
            rows.index_lineage(self._session, version)
        self._session.change(_DONE, {"uids": [version.uid for version in found]})
        if not found:
            return self._session.change(_GONE, {})
        return len(found)

    def forget_project(self, project: str) -> None:
        """See the port."""
        for statement in _OF_PROJECT:
            self._session.change(statement, {"of": project})


def _is_seen(place: Place, visible: Visible) -> bool:
    if not place.project or visible.everywhere or place.project in visible.projects:
        return True
    return (place.project, place.model) in visible.models
