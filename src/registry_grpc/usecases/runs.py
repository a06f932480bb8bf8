"""Runs: record, read, list, delete. The registry runs nothing: it keeps what is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.lineage import Run, run_not_found
from registry_grpc.domain.lineage_rules import edges_of_run
from registry_grpc.usecases.checks import require_etag
from registry_grpc.usecases.lineage import require_acyclic, require_there

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.lineage import Node
    from registry_grpc.domain.lineage_names import RunName
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class RecordRun:
    """Records a run; one that is known is replaced, with the edges it recorded."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Run], name: RunName, fields: Mapping[str, Any], etag: str) -> Committed[Run]:
        """The run.

        Raises: PROJECT_NOT_FOUND, RUN_NOT_FOUND for an etag of a run that is not there, ETAG_MISMATCH, NODE_NOT_FOUND,
            LINEAGE_CYCLE, INVALID_FIELD for an end before the start, or a node that is the run or of another project.
        """
        uid = self.ids.uuid()
        start, end = fields.get("start_time"), fields.get("end_time")
        if start is not None and end is not None and end < start:
            raise invalid_field("run.end_time", "is before run.start_time")
        inputs, outputs = fields.get("inputs", ()), fields.get("outputs", ())
        edges = edges_of_run(str(name), inputs, outputs, fields.get("code"))

        def work(unit: Unit) -> Run:
            project = unit.projects.get(name.project)
            call.grant.require(name, tags=(project.tags,))
            unit.lineage.lock(name.project)
            before = unit.runs.get(name)
            if before is None and etag:
                raise run_not_found(name)
            if before is not None:
                require_etag(before, etag)
            require_there(unit, name.project, [*_at(inputs, "inputs"), *_at(outputs, "outputs")])
            owner = uid if before is None else before.uid
            require_acyclic(unit, name.project, edges, owner=owner)
            revision = unit.advance(str(name))
            made = Run(
                **{
                    **fields,
                    "uid": owner,
                    "name": name,
                    "creator": call.principal.name if before is None else before.creator,
                    "create_time": unit.now if before is None else before.create_time,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.runs.put(made)
            unit.lineage.put(made.uid, name.project, edges, revision)
            unit.record(Action.CREATED if before is None else Action.UPDATED, made)
            return made

        return self.store.write(work, call)


def _at(nodes: Sequence[Node], field: str) -> list[tuple[Node, str]]:
    return [(node, f"run.{field}[{at}]") for at, node in enumerate(nodes)]


@dataclass(frozen=True, slots=True)
class GetRun:
    """One run."""

    store: Store

    def __call__(self, name: RunName) -> Run:
        """Raises: RUN_NOT_FOUND, PROJECT_NOT_FOUND."""

        def work(reader: Reader) -> Run:
            reader.projects.require(name.project)
            return _known(reader, name)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListRuns:
    """Runs of a project, the newest first."""

    store: Store

    def __call__(self, parent: ProjectName, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Run]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Run]:
            reader.projects.require(parent.project)
            return reader.runs.list(parent.project, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Deletes a run with the edges it recorded. Its id is free then."""

    store: Store

    def __call__(self, call: Call[None], name: RunName, etag: str) -> Committed[None]:
        """Raises: RUN_NOT_FOUND, PROJECT_NOT_FOUND, ETAG_MISMATCH."""

        def work(unit: Unit) -> None:
            project = unit.projects.get(name.project)
            call.grant.require(name, tags=(project.tags,))
            unit.lineage.lock(name.project)
            run = _known(unit, name)
            require_etag(run, etag)
            unit.advance(str(name))
            unit.runs.delete(name)
            unit.lineage.forget(run.uid)
            unit.record(Action.DELETED, run)

        return self.store.write(work, call)


def _known(reader: Reader, name: RunName) -> Run:
    run = reader.runs.get(name)
    if run is None:
        raise run_not_found(name)
    return run
