"""Deployments, what they ran and when, and who uses which version."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PLACE = ("environment", "cluster", "namespace", "workload", "slot")
SILENT = sa.text("state <> 'retired' AND NOT marked_stale")
OPEN = sa.text("end_time IS NULL")


def upgrade() -> None:
    _deployments()
    _runs()
    op.create_table(
        "consumer_day",
        *_keys("model_uid", "day", "version_uid", "principal", "use"),
        *_counts("number", "amount", "last_time"),
        sa.PrimaryKeyConstraint("model_uid", "day", "version_uid", "principal", "use", name=op.f("pk_consumer_day")),
    )
    _index("consumer_day", "day")


def _deployments() -> None:
    op.create_table(
        "deployment",
        *_keys("project", "id", "uid", "model", "model_uid", "version_uid", "manifest_digest", "stage", *PLACE),
        *_keys("state"),
        *_counts("number", "follow_time", "state_time", "start_time", "heartbeat_ttl_us", "heartbeat_time"),
        *_counts("expire_time", "create_time", "update_time", "revision"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("message", "uri", "annotations", "reporter")),
        sa.Column("traffic_percent", sa.Integer(), nullable=True),
        sa.Column("marked_stale", sa.Boolean(), nullable=False),
        sa.Column("retire_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("uid", name=op.f("uq_deployment_uid")),
    )
    _index("deployment", "project", "create_time", "id")
    _index("deployment", "project", "model", "number", "create_time")
    for column in ("environment", "cluster", "state"):
        _index("deployment", "project", column, "create_time")
    _index("deployment", "version_uid")
    _index("deployment", "model_uid")
    op.create_index("ix_deployment_silent", "deployment", ["expire_time"], postgresql_where=SILENT, sqlite_where=SILENT)


def _runs() -> None:
    op.create_table(
        "deployment_run",
        *_keys("project", "deployment", "model", "model_uid", "version_uid", "manifest_digest", *PLACE, "stage"),
        *_counts("revision", "number", "start_time"),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "deployment", "revision", name=op.f("pk_deployment_run")),
    )
    _index("deployment_run", "project", "start_time", "revision")
    _index("deployment_run", "project", "model", "number", "start_time")
    for column in ("environment", "cluster"):
        _index("deployment_run", "project", column, "start_time")
    op.create_index(
        "ux_deployment_run_open",
        "deployment_run",
        ["project", "deployment"],
        unique=True,
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )


def _keys(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, KEY, nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
