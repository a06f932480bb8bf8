"""Terms of versions in order of names: a page of what has a tag is read along an index, however many have it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INDEX, WHERE = "ix_version_term_text", sa.text("text IS NOT NULL")
COLUMNS = ["project", "field", "key", "text", "model", "version_number", "version_uid"]


def upgrade() -> None:
    op.drop_index(INDEX, "version_term")
    op.add_column("version_term", sa.Column("model", KEY, nullable=False, server_default=""))
    op.add_column("version_term", sa.Column("version_number", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE version_term SET model = version.model, version_number = version.number "
        "FROM version WHERE version.uid = version_term.version_uid"
    )
    op.create_index(INDEX, "version_term", COLUMNS, postgresql_where=WHERE, sqlite_where=WHERE)
    if op.get_bind().dialect.name == "postgresql":
        # A server of before, that still runs, shall rather fail than write rows without a place.
        for name in ("model", "version_number"):
            op.alter_column("version_term", name, server_default=None)
