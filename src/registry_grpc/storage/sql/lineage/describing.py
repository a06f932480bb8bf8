"""What is known of nodes: of versions, deployments, evidence and runs from their rows, of others what was said last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from registry_grpc.domain.lineage import Node, NodeType
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.storage.sql.runs import Runs
from registry_grpc.storage.sql.tables import deployment, evidence, lineage_node, version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry_grpc.domain.lineage import Run, Step
    from registry_grpc.storage.sql.session import Record, Session

_KEYS: Any = bindparam("keys", expanding=True)
_VERSIONS = select(
    version.c.uid,
    version.c.version_label,
    version.c.state,
    version.c.stage,
    version.c.manifest_digest,
    version.c.delete_time,
).where(version.c.uid.in_(_KEYS))
_DEPLOYMENTS = select(
    deployment.c.uid,
    deployment.c.uri,
    deployment.c.environment,
    deployment.c.cluster,
    deployment.c.namespace,
    deployment.c.workload,
    deployment.c.slot,
    deployment.c.stage,
    deployment.c.state,
    deployment.c.manifest_digest,
).where(deployment.c.uid.in_(_KEYS))
_EVIDENCE = select(
    evidence.c.id.label("uid"),
    evidence.c.kind,
    evidence.c.tool,
    evidence.c.outcome,
    evidence.c.report_uri,
    evidence.c.report_sha256,
).where(evidence.c.id.in_(_KEYS))
_NEWEST = (
    select(
        lineage_node,
        func.row_number()
        .over(partition_by=lineage_node.c.node, order_by=(lineage_node.c.revision.desc(), lineage_node.c.owner))
        .label("nth"),
    )
    .where(lineage_node.c.node.in_(_KEYS))
    .subquery("said")
)
_SAID = select(_NEWEST).where(_NEWEST.c.nth == 1)


def described(session: Session, steps: Sequence[Step], keys: Mapping[Node, str]) -> Sequence[Step]:
    """`steps` with what is known of their nodes."""
    known = descriptions(session, keys)
    return [replace(step, node=known.get(step.node, step.node)) for step in steps]


def descriptions(session: Session, keys: Mapping[Node, str]) -> dict[Node, Node]:
    """Nodes by themselves, with what is known of them; what nothing is known of is left out."""
    known: dict[Node, Node] = {}
    for statement, types, made in (
        (_VERSIONS, {NodeType.MODEL_VERSION}, _version),
        (_DEPLOYMENTS, {NodeType.DEPLOYMENT}, _deployment),
        (_EVIDENCE, {NodeType.EVALUATION_REPORT}, _report),
        (_SAID, set(NodeType) - {NodeType.MODEL_VERSION, NodeType.DEPLOYMENT}, _said),
    ):
        known |= _of(session, statement, {node: key for node, key in keys.items() if node.type in types}, made)
    runs = Runs(session)
    for node in keys:
        if node.type is NodeType.RUN and node.id.startswith("projects/"):
            found = runs.get(RunName.parse(node.id))
            if found is not None:
                known[node] = _run(node, found)
    return known


def _of(
    session: Session, statement: object, keys: Mapping[Node, str], made: Callable[[Node, Record], Node]
) -> dict[Node, Node]:
    if not keys:
        return {}
    column = "node" if statement is _SAID else "uid"
    rows = {getattr(row, column): row for row in session.all(statement, {"keys": sorted(set(keys.values()))})}  # type: ignore[arg-type]
    return {node: made(node, rows[key]) for node, key in keys.items() if key in rows}


def _version(node: Node, row: Record) -> Node:
    said = {"state": row.state.value, "stage": row.stage, "version_label": row.version_label}
    said["deleted"] = "true" if row.delete_time is not None else ""
    return replace(node, digest=row.manifest_digest, properties=_without_empty(said))


def _deployment(node: Node, row: Record) -> Node:
    names = ("environment", "cluster", "namespace", "workload", "slot", "stage")
    said = {name: getattr(row, name) for name in names} | {"state": row.state.value}
    where = f"{row.workload}[{row.slot}]" if row.slot else row.workload
    return replace(
        node,
        display_name=f"{where} in {row.environment}",
        uri=row.uri,
        digest=row.manifest_digest,
        properties=_without_empty(said),
    )


def _report(node: Node, row: Record) -> Node:
    said = {"kind": row.kind.value, "outcome": row.outcome.value, "tool": row.tool}
    digest = f"sha256:{row.report_sha256}" if row.report_sha256 else ""
    return replace(node, display_name=row.tool, uri=row.report_uri, digest=digest, properties=said)


def _run(node: Node, run: Run) -> Node:
    times = {"start_time": run.start_time, "end_time": run.end_time}
    said = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items() if time is not None}
    said |= {"system": run.system, "kind": run.kind or "", "outcome": run.outcome or ""}
    return replace(node, display_name=run.display_name, uri=run.uri, properties=_without_empty(said))


def _said(node: Node, row: Record) -> Node:
    return replace(node, display_name=row.display_name, uri=row.uri, digest=row.digest, properties=dict(row.properties))


def _without_empty(said: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in said.items() if value}
