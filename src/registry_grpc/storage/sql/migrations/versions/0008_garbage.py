"""What the collector of stored bytes remembers: since when bytes are not needed, and objects that no row knows."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
UNNEEDED = sa.text("state IN ('condemned', 'deleting')")
NOW = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000000 AS BIGINT)",
    "sqlite": "CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
}


def upgrade() -> None:
    op.add_column("blob", sa.Column("condemned_at", sa.BigInteger(), nullable=True))
    # Nobody wrote down since when: their grace begins now.
    now = NOW[op.get_bind().dialect.name]
    op.execute(f"UPDATE blob SET condemned_at = {now} WHERE {UNNEEDED}")  # noqa: S608 -- words of this file
    op.create_index(
        "ix_blob_unneeded", "blob", ["condemned_at", "uid"], postgresql_where=UNNEEDED, sqlite_where=UNNEEDED
    )
    op.create_index(op.f("ix_upload_key"), "upload", ["key"])
    op.create_index(op.f("ix_token_expire_time"), "token", ["expire_time"])
    op.add_column("registry", sa.Column("marked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "orphan",
        sa.Column("key", KEY, nullable=False),
        sa.Column("store_upload", KEY, nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "store_upload", name=op.f("pk_orphan")),
    )
    op.create_index(op.f("ix_orphan_last_seen"), "orphan", ["last_seen"])
