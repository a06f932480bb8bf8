"""Projects, models, versions, and the pointers to them."""

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Key, choice, count, document, flag, index_where, key, moment, text
from registry_grpc.storage.sql.tables.metadata import metadata

project = Table(
    "project",
    metadata,
    Column("id", Key, primary_key=True),
    key("uid"),
    text("display_name"),
    text("description"),
    document("stages", documents.STAGES),
    document("tags", documents.LABELS),
    document("annotations", documents.LABELS),
    document("quotas", documents.QUOTAS),
    document("retention", documents.RETENTION),
    moment("create_time"),
    moment("update_time"),
    moment("delete_time", nullable=True),
    moment("purge_time", nullable=True),
    count("revision"),
    UniqueConstraint("uid"),
)

# One row a project: the lock under which it uses more or less. Every number can be counted anew from the other tables.
project_usage = Table(
    "project_usage",
    metadata,
    Column("project", Key, ForeignKey("project.id"), primary_key=True),
    count("stored_bytes"),
    count("reserved_bytes"),
    count("models"),
    count("versions"),
    count("open_uploads"),
)

# What the unique index over exclusive stages must know of a project's stages; follows `project.stages`.
stage = Table(
    "stage",
    metadata,
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    key("id"),
    flag("exclusive"),
    PrimaryKeyConstraint("project", "id"),
)

model = Table(
    "model",
    metadata,
    Column("uid", Key, primary_key=True),
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    key("id"),
    text("display_name"),
    text("description"),
    text("owner"),
    document("tags", documents.LABELS),
    document("annotations", documents.LABELS),
    text("creator"),
    count("last_version_number"),
    moment("create_time"),
    moment("update_time"),
    moment("delete_time", nullable=True),
    moment("purge_time", nullable=True),
    # Its project is deleted. Kept here, so that whoever locks a model knows it without another row.
    flag("buried"),
    count("revision"),
    UniqueConstraint("project", "id"),
)
index_where("ix_model_purge_time", "purge_time IS NOT NULL", model.c.purge_time)

# `project` and `model` repeat what the model's row says: names never change, and reads need no join.
version = Table(
    "version",
    metadata,
    Column("uid", Key, primary_key=True),
    Column("model_uid", Key, ForeignKey("model.uid"), nullable=False),
    key("project"),
    key("model"),
    count("number"),
    choice("state", VersionState),
    key("stage"),
    flag("stage_exclusive"),
    key("version_label"),
    text("owner"),
    text("description"),
    text("model_card"),
    document("card", documents.CARD, nullable=True),
    document("tags", documents.LABELS),
    document("annotations", documents.LABELS),
    document("metadata", documents.METADATA),
    document("formats", documents.FORMATS),
    count("file_count"),
    count("total_size_bytes"),
    key("manifest_digest"),
    text("state_reason"),
    text("creator"),
    document("contributors", documents.WORDS),
    text("copied_from"),
    moment("create_time"),
    moment("update_time"),
    moment("finalize_time", nullable=True),
    moment("expire_time", nullable=True),
    moment("delete_time", nullable=True),
    moment("purge_time", nullable=True),
    count("revision"),
    UniqueConstraint("model_uid", "number"),
    UniqueConstraint("project", "model", "number"),
)
index_where("ux_version_label", "version_label <> ''", version.c.model_uid, version.c.version_label, unique=True)
index_where(
    "ux_version_exclusive_stage",
    "stage_exclusive AND delete_time IS NULL",
    version.c.model_uid,
    version.c.stage,
    unique=True,
)
index_where("ix_version_stage", "stage <> ''", version.c.project, version.c.stage, version.c.model)
index_where("ix_version_manifest_digest", "manifest_digest <> ''", version.c.manifest_digest, version.c.model_uid)
index_where("ix_version_expire_time", "state = 'draft'", version.c.expire_time)
index_where("ix_version_purge_time", "purge_time IS NOT NULL", version.c.purge_time)
Index(None, version.c.create_time)
Index(None, version.c.update_time)

pointer = Table(
    "pointer",
    metadata,
    Column("model_uid", Key, ForeignKey("model.uid"), nullable=False),
    choice("kind", PointerKind),
    key("id"),
    key("project"),
    key("model"),
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=True, index=True),
    count("previous_number"),
    count("generation"),
    count("revision"),
    moment("set_time", nullable=True),
    text("actor"),
    text("justification"),
    text("freeze_reason"),
    text("frozen_by"),
    moment("freeze_time", nullable=True),
    PrimaryKeyConstraint("model_uid", "kind", "id"),
    Index(None, "project", "kind", "id"),
)

# History outlives what it tells of: no foreign keys.
stage_assignment = Table(
    "stage_assignment",
    metadata,
    key("model_uid"),
    count("revision"),
    Column("idx", Integer, nullable=False),
    key("stage"),
    key("from_stage"),
    key("project"),
    key("model"),
    count("number"),
    key("version_uid"),
    text("manifest_digest"),
    count("previous_number"),
    choice("action", StageAction),
    text("actor"),
    text("justification"),
    text("request_id"),
    moment("assign_time"),
    text("promotion_request"),
    document("policies", documents.WORDS),
    flag("break_glass"),
    PrimaryKeyConstraint("model_uid", "revision", "idx"),
    Index(None, "model_uid", "stage", "revision", "idx"),
    Index(None, "version_uid", "revision", "idx"),
)
