"""Policies, promotion requests, frozen stages, deprecated and yanked versions, and who put bytes into a version."""

import json
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
OPEN = sa.text("state = 'pending'")


def upgrade() -> None:
    op.create_table(
        "policy",
        *(sa.Column(name, KEY, nullable=False) for name in ("project", "id")),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "id", "policy_version", name=op.f("pk_policy")),
    )
    present = sa.text("present")
    op.create_index(
        "ux_policy_present", "policy", ["project", "id"], unique=True, postgresql_where=present, sqlite_where=present
    )
    _requests()
    _columns()
    _contributors()


def _requests() -> None:
    op.create_table(
        "promotion_request",
        *(sa.Column(name, KEY, nullable=False) for name in ("project", "model")),
        sa.Column("number", sa.BigInteger(), nullable=False),
        *(sa.Column(name, KEY, nullable=False) for name in ("uid", "model_uid", "stage", "state")),
        sa.Column("body", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("create_time", "expire_time", "revision")),
        sa.PrimaryKeyConstraint("project", "model", "number", name=op.f("pk_promotion_request")),
    )
    listed = ["project", "create_time", "uid"]
    op.create_index(op.f("ix_promotion_request_project_create_time_uid"), "promotion_request", listed)
    op.create_index(op.f("ix_promotion_request_model_uid_number"), "promotion_request", ["model_uid", "number"])
    for name, columns in (("open", ["model_uid", "stage"]), ("due", ["expire_time"])):
        op.create_index(
            f"ix_promotion_request_{name}", "promotion_request", columns, postgresql_where=OPEN, sqlite_where=OPEN
        )


def _columns() -> None:
    op.add_column("version", sa.Column("state_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("version", sa.Column("contributors", sa.Text(), nullable=False, server_default="[1,[]]"))
    op.add_column("upload", sa.Column("writers", sa.Text(), nullable=False, server_default="[1,[]]"))
    op.add_column("pointer", sa.Column("freeze_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("pointer", sa.Column("frozen_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("pointer", sa.Column("freeze_time", sa.BigInteger(), nullable=True))
    op.add_column("stage_assignment", sa.Column("promotion_request", sa.Text(), nullable=False, server_default=""))
    op.add_column("stage_assignment", sa.Column("policies", sa.Text(), nullable=False, server_default="[1,[]]"))
    op.add_column("stage_assignment", sa.Column("break_glass", sa.Boolean(), nullable=False, server_default=sa.false()))


def _contributors() -> None:
    """Uploads say who put bytes into the versions there are; who attached or copied them was not kept."""
    upload = sa.table("upload", sa.column("version_uid"), sa.column("creator"))
    version = sa.table("version", sa.column("uid"), sa.column("contributors"))
    pairs = sa.select(upload.c.version_uid, upload.c.creator).distinct().order_by(upload.c.version_uid)
    connection = op.get_bind()
    for uid, rows in groupby(connection.execute(pairs).all(), key=lambda row: row.version_uid):
        names = json.dumps([1, sorted(row.creator for row in rows)], separators=(",", ":"))
        connection.execute(sa.update(version).where(version.c.uid == uid).values(contributors=names))
