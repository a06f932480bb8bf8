"""What runs where, what ran there and when, and who used which version on which day.

No foreign keys: what is told of outlives the versions and models it tells of.
"""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.consumers import Use
from registry_grpc.domain.deployments import DeploymentState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import choice, count, document, flag, index_where, key, moment, text
from registry_grpc.storage.sql.tables.metadata import metadata

deployment = Table(
    "deployment",
    metadata,
    key("project"),
    key("id"),
    key("uid"),
    key("model"),
    count("number"),
    key("model_uid"),
    key("version_uid"),
    key("manifest_digest"),
    key("stage"),
    moment("follow_time"),
    key("environment"),
    key("cluster"),
    key("namespace"),
    key("workload"),
    key("slot"),
    choice("state", DeploymentState),
    moment("state_time"),
    Column("traffic_percent", Integer, nullable=True),
    text("message"),
    text("uri"),
    document("annotations", documents.LABELS),
    moment("start_time"),
    count("heartbeat_ttl_us"),
    moment("heartbeat_time"),
    # Heartbeat and the time after it: kept, so that what went stale is found by an index.
    moment("expire_time"),
    flag("marked_stale"),
    text("reporter"),
    moment("create_time"),
    moment("update_time"),
    moment("retire_time", nullable=True),
    count("revision"),
    PrimaryKeyConstraint("project", "id"),
    UniqueConstraint("uid"),
    Index(None, "project", "create_time", "id"),
    Index(None, "project", "model", "number", "create_time"),
    Index(None, "project", "environment", "create_time"),
    Index(None, "project", "cluster", "create_time"),
    Index(None, "project", "state", "create_time"),
    Index(None, "version_uid"),
    Index(None, "model_uid"),
)
index_where("ix_deployment_silent", "state <> 'retired' AND NOT marked_stale", deployment.c.expire_time)

deployment_run = Table(
    "deployment_run",
    metadata,
    key("project"),
    key("deployment"),
    count("revision"),
    key("model"),
    count("number"),
    key("model_uid"),
    key("version_uid"),
    key("manifest_digest"),
    key("environment"),
    key("cluster"),
    key("namespace"),
    key("workload"),
    key("slot"),
    key("stage"),
    moment("start_time"),
    moment("end_time", nullable=True),
    text("reporter"),
    PrimaryKeyConstraint("project", "deployment", "revision"),
    Index(None, "project", "start_time", "revision"),
    Index(None, "project", "model", "number", "start_time"),
    Index(None, "project", "environment", "start_time"),
    Index(None, "project", "cluster", "start_time"),
)
index_where(
    "ux_deployment_run_open",
    "end_time IS NULL",
    deployment_run.c.project,
    deployment_run.c.deployment,
    unique=True,
)

consumer_day = Table(
    "consumer_day",
    metadata,
    key("model_uid"),
    key("day"),
    key("version_uid"),
    key("principal"),
    choice("use", Use),
    count("number"),
    count("amount"),
    moment("last_time"),
    PrimaryKeyConstraint("model_uid", "day", "version_uid", "principal", "use"),
    Index(None, "day"),
)
