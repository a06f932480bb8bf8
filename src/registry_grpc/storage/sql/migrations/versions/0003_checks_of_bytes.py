"""When bytes were last checked and what is wrong with them; which ended uploads are cleared from the store."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

OPEN = sa.text("state IN ('active', 'finalizing')")
ENDED = sa.text("state IN ('failed', 'cancelled', 'expired') AND NOT dropped")


def upgrade() -> None:
    op.add_column("blob", sa.Column("check_time", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("blob", sa.Column("damage", sa.Text(), nullable=False, server_default=""))
    op.add_column("blob", sa.Column("damage_time", sa.BigInteger(), nullable=True))
    # What was never checked is as old as its upload, which hashed it.
    op.execute("UPDATE blob SET check_time = create_time")
    op.create_index(op.f("ix_blob_state_check_time"), "blob", ["state", "check_time"])
    op.add_column("upload", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_upload_open", "upload", ["creator"], postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index("ix_upload_ended", "upload", ["expire_time"], postgresql_where=ENDED, sqlite_where=ENDED)
