"""Writes the rows of one owner, beside what they follow from and in its transaction."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select

from registry_grpc.domain.lineage import Edge, Node, NodeType
from registry_grpc.domain.lineage_rules import edges_of_version
from registry_grpc.storage.sql.lineage.keys import Place, places
from registry_grpc.storage.sql.tables import lineage_edge, lineage_missing, lineage_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.resources import Version
    from registry_grpc.storage.sql.session import Record, Session

_ID_CHARS = 32
_EDGES_OF = delete(lineage_edge).where(lineage_edge.c.owner == bindparam("of"))
_NODES_OF = delete(lineage_node).where(lineage_node.c.owner == bindparam("of"))
_LINKS = select(lineage_edge).where(
    lineage_edge.c.owner == bindparam("of"), lineage_edge.c.id.in_(bindparam("ids", expanding=True))
)
_UNLINK = delete(lineage_edge).where(
    lineage_edge.c.owner == bindparam("of"), lineage_edge.c.id.in_(bindparam("ids", expanding=True))
)
_MISSING_OF = delete(lineage_missing).where(lineage_missing.c.version_uid == bindparam("of"))


def index_lineage(session: Session, version: Version, *, before: Version | None = None, is_new: bool = False) -> None:
    """Write what a version says, unless it is what `before` said, which is written; None for all of it."""
    if before is not None and (
        before.metadata is version.metadata or before.metadata.provenance == version.metadata.provenance
    ):
        return
    edges = edges_of_version(version)
    if not is_new:
        forget_owner(session, version.uid)
    if not edges:
        return
    project = version.name.project
    itself = Node(NodeType.MODEL_VERSION, str(version.name))
    found = places(session, project, nodes_of(edges) - {itself})
    found[itself] = Place(version.uid, project, version.name.model)
    write_rows(session, version.uid, project, edges, version.revision, found)


def forget_lineage(session: Session, uid: str) -> None:
    """Remove what a version said."""
    forget_owner(session, uid)
    session.change(_MISSING_OF, {"of": uid})


def forget_owner(session: Session, owner: str) -> None:
    """Remove the rows of an owner."""
    session.change(_EDGES_OF, {"of": owner})
    session.change(_NODES_OF, {"of": owner})


def nodes_of(edges: Iterable[Edge]) -> set[Node]:
    """Both ends of all of them."""
    return {node for edge in edges for node in (edge.downstream, edge.upstream)}


def write_rows(
    session: Session, owner: str, project: str, edges: Sequence[Edge], revision: int, found: dict[Node, Place]
) -> None:
    """Insert the edges of an owner, who has none, and what they say of their nodes."""
    rows = {row["id"]: row for row in (_edge_row(owner, project, edge, revision, found) for edge in edges)}
    _insert(session, lineage_edge, rows)
    described: dict[str, dict[str, Any]] = {}
    for edge in edges:
        for node in (edge.downstream, edge.upstream):
            if node.described and not found[node].project:
                described.setdefault(found[node].key, _node_row(owner, project, node, revision, found[node].key))
    _insert(session, lineage_node, described)


def _insert(session: Session, table: Any, rows: dict[str, dict[str, Any]]) -> None:  # noqa: ANN401 -- a table
    if rows:
        session.change(insert(table), list(rows.values()))


def owner_of_links(project: str) -> str:
    """Whose the links of a project are."""
    return f"links:{project}"


def linked_rows(session: Session, project: str, edges: Sequence[Edge]) -> Sequence[Edge]:
    """Those of `edges` that are links."""
    values = {"of": owner_of_links(project), "ids": [edge_id(edge) for edge in edges]}
    return [to_edge(row) for row in session.all(_LINKS, values)]


def unlink_rows(session: Session, project: str, edges: Sequence[Edge]) -> None:
    """Remove links."""
    session.change(_UNLINK, {"of": owner_of_links(project), "ids": [edge_id(edge) for edge in edges]})


def edge_id(edge: Edge) -> str:
    """What tells edges of one owner apart."""
    ends = (edge.downstream, edge.upstream)
    text = "\n".join((*(part for end in ends for part in (end.type.value, end.id)), edge.relation.value))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]


def to_edge(row: Record) -> Edge:
    """The edge of a row of `lineage_edge`."""
    return Edge(
        Node(row.down_type, row.down_id),
        Node(row.up_type, row.up_id),
        row.relation,
        row.origin,
        row.create_time,
        row.creator,
        row.revision,
    )


def _edge_row(owner: str, project: str, edge: Edge, revision: int, found: dict[Node, Place]) -> dict[str, Any]:
    down, up = found[edge.downstream], found[edge.upstream]
    return {
        "owner": owner,
        "id": edge_id(edge),
        "project": project,
        "down": down.key,
        "down_type": edge.downstream.type,
        "down_id": edge.downstream.id,
        "down_project": down.project,
        "down_model": down.model,
        "up": up.key,
        "up_type": edge.upstream.type,
        "up_id": edge.upstream.id,
        "up_project": up.project,
        "up_model": up.model,
        "relation": edge.relation,
        "origin": edge.origin,
        "create_time": edge.create_time,
        "creator": edge.creator,
        "revision": revision,
    }


def _node_row(owner: str, project: str, node: Node, revision: int, key: str) -> dict[str, Any]:
    return {
        "owner": owner,
        "node": key,
        "project": project,
        "display_name": node.display_name,
        "uri": node.uri,
        "digest": node.digest,
        "properties": node.properties,
        "revision": revision,
    }
