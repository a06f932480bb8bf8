"""The tables. `migrations/` must lead to exactly this on both engines; a test compares them."""

from registry_grpc.storage.sql.tables.access import account_certificate, role, role_binding, service_account, token
from registry_grpc.storage.sql.tables.catalogue import (
    model,
    pointer,
    project,
    project_usage,
    stage,
    stage_assignment,
    version,
)
from registry_grpc.storage.sql.tables.files import artifact, blob, upload, upload_part
from registry_grpc.storage.sql.tables.log import audit, event, idempotency, lease, log_head, registry
from registry_grpc.storage.sql.tables.metadata import metadata

__all__ = [
    "account_certificate",
    "artifact",
    "audit",
    "blob",
    "event",
    "idempotency",
    "lease",
    "log_head",
    "metadata",
    "model",
    "pointer",
    "project",
    "project_usage",
    "registry",
    "role",
    "role_binding",
    "service_account",
    "stage",
    "stage_assignment",
    "token",
    "upload",
    "upload_part",
    "version",
]
