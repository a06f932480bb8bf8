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
from registry_grpc.storage.sql.tables.governance import policy, promotion_request
from registry_grpc.storage.sql.tables.lineage import lineage_edge, lineage_lock, lineage_missing, lineage_node, run
from registry_grpc.storage.sql.tables.log import (
    audit,
    audit_checkpoint,
    audit_node,
    event,
    idempotency,
    lease,
    log_head,
    registry,
)
from registry_grpc.storage.sql.tables.metadata import metadata
from registry_grpc.storage.sql.tables.search import model_term, search_text, version_metric, version_term
from registry_grpc.storage.sql.tables.signatures import evidence, model_signature, trusted_signer
from registry_grpc.storage.sql.tables.webhooks import delivery, webhook

__all__ = [
    "account_certificate",
    "artifact",
    "audit",
    "audit_checkpoint",
    "audit_node",
    "blob",
    "consumer_day",
    "delivery",
    "deployment",
    "deployment_run",
    "event",
    "evidence",
    "idempotency",
    "lease",
    "lineage_edge",
    "lineage_lock",
    "lineage_missing",
    "lineage_node",
    "log_head",
    "metadata",
    "model",
    "model_signature",
    "model_term",
    "orphan",
    "pointer",
    "policy",
    "project",
    "project_usage",
    "promotion_request",
    "registry",
    "role",
    "role_binding",
    "run",
    "search_text",
    "service_account",
    "stage",
    "stage_assignment",
    "token",
    "trusted_signer",
    "upload",
    "upload_part",
    "version",
    "version_metric",
    "version_term",
    "webhook",
]
