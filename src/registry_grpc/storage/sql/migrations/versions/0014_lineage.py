"""Runs, and the graph of what came from what.

What versions that are there already say is written by a job of the leader, which is told of them in lineage_missing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "run",
        *(sa.Column(name, KEY, nullable=False) for name in ("project", "id", "uid")),
        sa.Column("body", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("create_time", "revision")),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_run")),
        sa.UniqueConstraint("uid", name=op.f("uq_run_uid")),
    )
    op.create_index(op.f("ix_run_project_create_time_id"), "run", ["project", "create_time", "id"])
    _edges()
    op.create_table(
        "lineage_node",
        *(sa.Column(name, KEY, nullable=False) for name in ("owner", "node", "project")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("display_name", "uri", "digest", "properties")),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "node", name=op.f("pk_lineage_node")),
    )
    op.create_index(op.f("ix_lineage_node_node_revision"), "lineage_node", ["node", "revision"])
    op.create_index(op.f("ix_lineage_node_project"), "lineage_node", ["project"])
    op.create_table(
        "lineage_lock",
        sa.Column("project", KEY, nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_lineage_lock")),
    )
    op.create_table(
        "lineage_missing",
        sa.Column("version_uid", KEY, nullable=False),
        sa.PrimaryKeyConstraint("version_uid", name=op.f("pk_lineage_missing")),
    )
    op.execute("INSERT INTO lineage_missing (version_uid) SELECT uid FROM version")


def _edges() -> None:
    op.create_table(
        "lineage_edge",
        *(sa.Column(name, KEY, nullable=False) for name in ("owner", "id", "project")),
        *(
            sa.Column(f"{end}{part}", sa.Text() if part == "_id" else KEY, nullable=False)
            for end in ("down", "up")
            for part in ("", "_type", "_id", "_project", "_model")
        ),
        *(sa.Column(name, KEY, nullable=False) for name in ("relation", "origin")),
        sa.Column("create_time", sa.BigInteger(), nullable=True),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name=op.f("pk_lineage_edge")),
    )
    for name in ("down", "up", "project"):
        op.create_index(op.f(f"ix_lineage_edge_{name}"), "lineage_edge", [name])
