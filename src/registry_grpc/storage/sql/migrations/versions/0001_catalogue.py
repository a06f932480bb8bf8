"""The tables of projects, models, versions and their pointers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "project",
        sa.Column("id", KEY, nullable=False),
        sa.Column("uid", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("stages", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("uid", name=op.f("uq_project_uid")),
    )
    op.create_table(
        "model",
        sa.Column("uid", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("last_version_number", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("delete_time", sa.BigInteger(), nullable=True),
        sa.Column("purge_time", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_model_project")),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_model")),
        sa.UniqueConstraint("project", "id", name=op.f("uq_model_project_id")),
    )
    op.create_table(
        "stage",
        sa.Column("project", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_stage_project")),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_stage")),
    )
    op.create_table(
        "version",
        sa.Column("uid", KEY, nullable=False),
        sa.Column("model_uid", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("stage", KEY, nullable=False),
        sa.Column("stage_exclusive", sa.Boolean(), nullable=False),
        sa.Column("version_label", KEY, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("model_card", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("formats", sa.Text(), nullable=False),
        sa.Column("file_count", sa.BigInteger(), nullable=False),
        sa.Column("total_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("manifest_digest", KEY, nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("finalize_time", sa.BigInteger(), nullable=True),
        sa.Column("expire_time", sa.BigInteger(), nullable=True),
        sa.Column("delete_time", sa.BigInteger(), nullable=True),
        sa.Column("purge_time", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_uid"], ["model.uid"], name=op.f("fk_version_model_uid")),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_version")),
        sa.UniqueConstraint("model_uid", "number", name=op.f("uq_version_model_uid_number")),
        sa.UniqueConstraint("project", "model", "number", name=op.f("uq_version_project_model_number")),
    )
    op.create_index(
        "ix_version_expire_time",
        "version",
        ["expire_time"],
        postgresql_where=sa.text("state = 'draft'"),
        sqlite_where=sa.text("state = 'draft'"),
    )
    op.create_index(
        "ix_version_manifest_digest",
        "version",
        ["manifest_digest", "model_uid"],
        postgresql_where=sa.text("manifest_digest <> ''"),
        sqlite_where=sa.text("manifest_digest <> ''"),
    )
    op.create_index(
        "ix_version_stage",
        "version",
        ["project", "stage", "model"],
        postgresql_where=sa.text("stage <> ''"),
        sqlite_where=sa.text("stage <> ''"),
    )
    op.create_index(
        "ux_version_exclusive_stage",
        "version",
        ["model_uid", "stage"],
        unique=True,
        postgresql_where=sa.text("stage_exclusive AND delete_time IS NULL"),
        sqlite_where=sa.text("stage_exclusive AND delete_time IS NULL"),
    )
    op.create_index(
        "ux_version_label",
        "version",
        ["model_uid", "version_label"],
        unique=True,
        postgresql_where=sa.text("version_label <> ''"),
        sqlite_where=sa.text("version_label <> ''"),
    )
    op.create_table(
        "pointer",
        sa.Column("model_uid", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("version_uid", KEY, nullable=True),
        sa.Column("previous_number", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("set_time", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_uid"], ["model.uid"], name=op.f("fk_pointer_model_uid")),
        sa.ForeignKeyConstraint(["version_uid"], ["version.uid"], name=op.f("fk_pointer_version_uid")),
        sa.PrimaryKeyConstraint("model_uid", "kind", "id", name=op.f("pk_pointer")),
    )
    op.create_index(op.f("ix_pointer_project_kind_id"), "pointer", ["project", "kind", "id"])
    op.create_index(op.f("ix_pointer_version_uid"), "pointer", ["version_uid"])
    op.create_table(
        "stage_assignment",
        sa.Column("model_uid", KEY, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("stage", KEY, nullable=False),
        sa.Column("from_stage", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version_uid", KEY, nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("previous_number", sa.BigInteger(), nullable=False),
        sa.Column("action", KEY, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("assign_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_uid"], ["model.uid"], name=op.f("fk_stage_assignment_model_uid")),
        sa.ForeignKeyConstraint(["version_uid"], ["version.uid"], name=op.f("fk_stage_assignment_version_uid")),
        sa.PrimaryKeyConstraint("model_uid", "revision", "idx", name=op.f("pk_stage_assignment")),
    )
    op.create_index(
        op.f("ix_stage_assignment_model_uid_stage_revision_idx"),
        "stage_assignment",
        ["model_uid", "stage", "revision", "idx"],
    )
    op.create_index(
        op.f("ix_stage_assignment_version_uid_revision_idx"), "stage_assignment", ["version_uid", "revision", "idx"]
    )
