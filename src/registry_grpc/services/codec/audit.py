"""Entries and signed heads of the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.names import ProjectName
from registry_grpc.ports.audit import AuditFilter
from registry_grpc.services.codec.times import optional_time_from_wire, time_to_wire
from registry_grpc.v1 import audit_pb2

if TYPE_CHECKING:
    from registry_grpc.domain.audit import AuditEntry, Recorded, StoredCheckpoint


def entry_to_wire(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """An entry, without its leaf."""
    return audit_pb2.AuditEntry(
        index=entry.index,
        revision=entry.revision,
        time=time_to_wire(entry.time),
        actor=entry.actor,
        authentication=entry.authentication,
        peer=entry.peer,
        method=entry.method,
        resource=entry.resource,
        request_id=entry.request_id,
        outcome=entry.outcome,
        before_sha256=entry.before.hex(),
        after_sha256=entry.after.hex(),
        changes=entry.changes,
    )


def recorded_to_wire(recorded: Recorded) -> audit_pb2.AuditEntry:
    """An entry with its leaf."""
    message = entry_to_wire(recorded.entry)
    message.leaf = recorded.leaf
    return message


def checkpoint_to_wire(checkpoint: StoredCheckpoint) -> audit_pb2.Checkpoint:
    """A signed head."""
    return audit_pb2.Checkpoint(
        origin=checkpoint.note.partition("\n")[0],
        size=checkpoint.size,
        root_hash=checkpoint.root,
        note=checkpoint.note,
        time=time_to_wire(checkpoint.time),
    )


def filter_from_wire(request: audit_pb2.ListAuditEntriesRequest) -> AuditFilter:
    """Which entries are wanted.

    Raises: INVALID_FIELD, also for a resource outside of the parent.
    """
    project = ProjectName.parse(request.parent, "parent").project if request.parent else ""
    inside = (request.resource + "/").startswith(f"{request.parent}/")
    if request.parent and request.resource and not inside:
        raise invalid_field("resource", f"{request.resource!r} is not in {request.parent}")
    return AuditFilter(
        project=project,
        actor=request.actor,
        resource=request.resource,
        method=request.method,
        outcome=request.outcome,
        request_id=request.of_request_id,
        from_time=optional_time_from_wire(request, "from_time"),
        to_time=optional_time_from_wire(request, "to_time"),
    )
