"""Quotas, retention and deletion of projects; copies between them; history that outlives what it tells of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PURGED = sa.text("purge_time IS NOT NULL")
COUNTS = ("stored_bytes", "reserved_bytes", "models", "versions", "open_uploads")
FILL = """
INSERT INTO project_usage (project, stored_bytes, reserved_bytes, models, versions, open_uploads)
SELECT id,
  (SELECT COALESCE(SUM(size_bytes), 0) FROM blob WHERE blob.project = project.id AND state IN ('live', 'damaged')),
  (SELECT COALESCE(SUM(size_bytes), 0) FROM upload
    WHERE upload.project = project.id AND state IN ('active', 'finalizing')),
  (SELECT COUNT(*) FROM model WHERE model.project = project.id AND delete_time IS NULL),
  (SELECT COUNT(*) FROM version JOIN model ON model.uid = version.model_uid
    WHERE version.project = project.id AND version.delete_time IS NULL AND model.delete_time IS NULL),
  (SELECT COUNT(*) FROM upload WHERE upload.project = project.id AND state IN ('active', 'finalizing'))
FROM project
"""


def upgrade() -> None:
    _add_columns()
    _loosen()
    op.create_table(
        "project_usage",
        sa.Column("project", KEY, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_project_usage_project")),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_project_usage")),
    )
    op.execute(FILL)


def _add_columns() -> None:
    op.add_column("project", sa.Column("quotas", sa.Text(), nullable=False, server_default="[1,{}]"))
    op.add_column("project", sa.Column("retention", sa.Text(), nullable=False, server_default="[1,{}]"))
    op.add_column("project", sa.Column("delete_time", sa.BigInteger(), nullable=True))
    op.add_column("project", sa.Column("purge_time", sa.BigInteger(), nullable=True))
    op.add_column("model", sa.Column("buried", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("version", sa.Column("copied_from", sa.Text(), nullable=False, server_default=""))
    for table in ("model", "version"):
        op.create_index(f"ix_{table}_purge_time", table, ["purge_time"], postgresql_where=PURGED, sqlite_where=PURGED)


def _loosen() -> None:
    """What is left when a version, model or project is purged: history, uploads to clear away, bytes to collect."""
    with op.batch_alter_table("stage_assignment") as history:
        history.drop_constraint(op.f("fk_stage_assignment_model_uid"), type_="foreignkey")
        history.drop_constraint(op.f("fk_stage_assignment_version_uid"), type_="foreignkey")
    with op.batch_alter_table("upload") as uploads:
        uploads.drop_constraint(op.f("fk_upload_project"), type_="foreignkey")
        uploads.drop_constraint(op.f("fk_upload_version_uid"), type_="foreignkey")
    with op.batch_alter_table("blob") as blobs:
        blobs.drop_constraint(op.f("fk_blob_project"), type_="foreignkey")
        blobs.drop_constraint(op.f("uq_blob_key"), type_="unique")
        blobs.create_index(op.f("ix_blob_key"), ["key"])
