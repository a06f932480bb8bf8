"""Model cards in parts. A version of before has none."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("version", sa.Column("card", sa.Text(), nullable=True))
