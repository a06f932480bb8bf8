"""What a table shows of audit entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.cli.output import Columns, when

if TYPE_CHECKING:
    from registry_grpc.v1 import audit_pb2


def index(entry: audit_pb2.AuditEntry) -> str:
    """What an entry is called by."""
    return str(entry.index)


ENTRIES: Columns = {
    "index": index,
    "time": lambda entry: when(entry, "time"),
    "actor": lambda entry: entry.actor,
    "method": lambda entry: entry.method,
    "resource": lambda entry: entry.resource,
    "outcome": lambda entry: entry.outcome,
}
ENTRY: Columns = {
    **ENTRIES,
    "revision": lambda entry: entry.revision or "",
    "authentication": lambda entry: entry.authentication,
    "peer": lambda entry: entry.peer,
    "request id": lambda entry: entry.request_id,
    "before": lambda entry: entry.before_sha256,
    "after": lambda entry: entry.after_sha256,
    "changes": lambda entry: entry.changes,
}
