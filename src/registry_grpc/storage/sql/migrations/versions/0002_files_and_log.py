"""The tables of files, uploads, the log, and what keeps calls and processes apart."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_index", ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("audit_index", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_revision"), "audit", ["revision"])
    op.create_table(
        "event",
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("resource_type", KEY, nullable=False),
        sa.Column("stage", KEY, nullable=False),
        sa.Column("action", KEY, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision", "idx", name=op.f("pk_event")),
    )
    op.create_table(
        "idempotency",
        sa.Column("principal", KEY, nullable=False),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "request_id", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_create_time"), "idempotency", ["create_time"])
    op.create_table(
        "lease",
        sa.Column("name", KEY, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("audit_size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_head")),
    )
    op.create_table(
        "registry",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("registry_uid", KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry")),
    )
    op.create_table(
        "token",
        sa.Column("id", KEY, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=True),
        sa.Column("revoke_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    op.create_table(
        "blob",
        sa.Column("uid", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("sha256", KEY, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("block_digests", sa.LargeBinary(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_blob_project")),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_blob")),
        sa.UniqueConstraint("key", name=op.f("uq_blob_key")),
    )
    op.create_index(op.f("ix_blob_state_create_time"), "blob", ["state", "create_time"])
    op.create_index(
        "ux_blob_held",
        "blob",
        ["project", "sha256", "size_bytes"],
        unique=True,
        postgresql_where=sa.text("state IN ('live', 'condemned')"),
        sqlite_where=sa.text("state IN ('live', 'condemned')"),
    )
    op.create_table(
        "artifact",
        sa.Column("version_uid", KEY, nullable=False),
        sa.Column("path", KEY, nullable=False),
        sa.Column("folded_path", KEY, nullable=False),
        sa.Column("artifact_id", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("blob_uid", KEY, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blob_uid"], ["blob.uid"], name=op.f("fk_artifact_blob_uid")),
        sa.ForeignKeyConstraint(["version_uid"], ["version.uid"], name=op.f("fk_artifact_version_uid")),
        sa.PrimaryKeyConstraint("version_uid", "path", name=op.f("pk_artifact")),
        sa.UniqueConstraint("version_uid", "artifact_id", name=op.f("uq_artifact_version_uid_artifact_id")),
    )
    op.create_index(op.f("ix_artifact_blob_uid"), "artifact", ["blob_uid"])
    op.create_index(op.f("ix_artifact_version_uid_folded_path"), "artifact", ["version_uid", "folded_path"])
    op.create_table(
        "upload",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("version_uid", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("path", KEY, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("store_upload", sa.Text(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("persisted_size", sa.BigInteger(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("artifact_etag", sa.Text(), nullable=False),
        sa.Column("sealed_until", sa.BigInteger(), nullable=True),
        sa.Column("deduplicated", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_upload_project")),
        sa.ForeignKeyConstraint(["version_uid"], ["version.uid"], name=op.f("fk_upload_version_uid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_state_expire_time"), "upload", ["state", "expire_time"])
    op.create_index(
        op.f("ix_upload_version_uid_state_create_time_id"), "upload", ["version_uid", "state", "create_time", "id"]
    )
    op.create_table(
        "upload_part",
        sa.Column("upload", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("block_digests", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["upload"], ["upload.id"], name=op.f("fk_upload_part_upload")),
        sa.PrimaryKeyConstraint("upload", "number", name=op.f("pk_upload_part")),
    )
