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
from registry_grpc.storage.sql.tables.deployments import consumer_day, deployment, deployment_run
from registry_grpc.storage.sql.tables.files import artifact, blob, orphan, upload, upload_part
from registry_grpc.storage.sql.tables.log import audit, event, idempotency, lease, log_head, registry
from registry_grpc.storage.sql.tables.metadata import metadata
from registry_grpc.storage.sql.tables.webhooks import delivery, webhook

__all__ = [
    "account_certificate",
    "artifact",
    "audit",
    "blob",
    "consumer_day",
    "delivery",
    "deployment",
    "deployment_run",
    "event",
    "idempotency",
    "lease",
    "log_head",
    "metadata",
    "model",
    "orphan",
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
    "webhook",
]
