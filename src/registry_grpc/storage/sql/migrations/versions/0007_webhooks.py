"""Webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "webhook",
        *(sa.Column(name, KEY, nullable=False) for name in ("project", "id", "uid")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("display_name", "url")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("models", "resource_types", "actions", "stages")),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("disable_reason", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret_expire_time", sa.BigInteger(), nullable=True),
        sa.Column("creator", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("create_time", "update_time", "revision")),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("last_success_time", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("uid", name=op.f("uq_webhook_uid")),
    )
    op.create_table(
        "delivery",
        *(sa.Column(name, KEY, nullable=False) for name in ("id", "webhook_uid", "lane")),
        sa.Column("event_revision", sa.BigInteger(), nullable=False),
        sa.Column("event_index", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("event_type", "subject", "body")),
        sa.Column("state", KEY, nullable=False),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_attempt_time", sa.BigInteger(), nullable=True),
        sa.Column("claim", KEY, nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    _indexes()


def _indexes() -> None:
    order = ["webhook_uid", "create_time", "event_revision", "event_index", "id"]
    op.create_index("ix_delivery_list", "delivery", order)
    event = ["webhook_uid", "event_revision", "event_index"]
    _index_where("ux_delivery_event", "event_revision > 0", event, unique=True)
    _index_where("ix_delivery_line", "state = 'pending'", ["webhook_uid", "lane", "event_revision", "event_index"])
    _index_where("ix_delivery_due", "next_attempt_time IS NOT NULL", ["next_attempt_time"])
    _index_where("ix_delivery_dead", "state = 'dead'", ["webhook_uid"])
    _index_where("ix_delivery_end_time", "end_time IS NOT NULL", ["end_time"])


def _index_where(name: str, where: str, columns: list[str], *, unique: bool = False) -> None:
    picked = sa.text(where)
    op.create_index(name, "delivery", columns, unique=unique, postgresql_where=picked, sqlite_where=picked)
