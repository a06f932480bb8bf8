"""What an audit entry says, and the hash tree over them.

Entries of before say nothing of how, from where and what; their leaves stay as they are. `leaf_hash` goes: it was the
one column that could be changed with nobody the wiser, and is made of the leaf.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NAMED = sa.text("request_id <> ''")
NO_BYTES = {"postgresql": sa.text("''"), "sqlite": sa.text("x''")}
"""SQLite keeps the type of a default: '' would be read as a text."""
PROJECT = {
    "postgresql": "split_part(resource, '/', 2)",
    "sqlite": "substr(substr(resource, 10), 1, instr(substr(resource, 10) || '/', '/') - 1)",
}


def upgrade() -> None:
    op.add_column("audit", sa.Column("project", KEY, nullable=False, server_default=""))
    op.add_column("audit", sa.Column("authentication", sa.Text(), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("peer", sa.Text(), nullable=False, server_default=""))
    nothing = NO_BYTES[op.get_bind().dialect.name]
    op.add_column("audit", sa.Column("before", sa.LargeBinary(), nullable=False, server_default=nothing))
    op.add_column("audit", sa.Column("changes", sa.Text(), nullable=False, server_default=""))
    project = PROJECT[op.get_bind().dialect.name]
    op.execute(f"UPDATE audit SET project = {project} WHERE resource LIKE 'projects/%'")  # noqa: S608 -- words of this file
    op.drop_column("audit", "leaf_hash")
    op.create_index(op.f("ix_audit_project_audit_index"), "audit", ["project", "audit_index"])
    op.create_index(op.f("ix_audit_actor_audit_index"), "audit", ["actor", "audit_index"])
    op.create_index("ix_audit_named", "audit", ["request_id"], postgresql_where=NAMED, sqlite_where=NAMED)
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name=op.f("pk_audit_node")),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoint")),
    )
