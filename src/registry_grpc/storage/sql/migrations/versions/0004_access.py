"""Roles, bindings, service accounts; whose tokens are and who made them. The first administrator keeps all rights."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "role",
        sa.Column("id", KEY, nullable=False),
        sa.Column("uid", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("uid", name=op.f("uq_role_uid")),
    )
    bindings = op.create_table(
        "role_binding",
        sa.Column("project", KEY, nullable=False),
        sa.Column("model", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("uid", KEY, nullable=False),
        sa.Column("role", KEY, nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "id", name=op.f("pk_role_binding")),
        sa.UniqueConstraint("uid", name=op.f("uq_role_binding_uid")),
    )
    op.create_index(op.f("ix_role_binding_role"), "role_binding", ["role"])
    _accounts()
    _tokens()
    _first_administrator(bindings)


def _accounts() -> None:
    op.create_table(
        "service_account",
        sa.Column("project", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("uid", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("certificate_names", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("delete_time", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_service_account")),
        sa.UniqueConstraint("uid", name=op.f("uq_service_account_uid")),
    )
    op.create_table(
        "account_certificate",
        sa.Column("name", KEY, nullable=False),
        sa.Column("project", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account_certificate")),
    )
    op.create_index(op.f("ix_account_certificate_project_id"), "account_certificate", ["project", "id"])


def _tokens() -> None:
    op.add_column("token", sa.Column("description", sa.Text(), nullable=False, server_default=""))
    op.add_column("token", sa.Column("creator", sa.Text(), nullable=False, server_default=""))
    op.add_column("token", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE token ALTER COLUMN principal TYPE text COLLATE "C"')
    op.create_index(op.f("ix_token_principal_create_time_id"), "token", ["principal", "create_time", "id"])


def _first_administrator(bindings: sa.Table) -> None:
    """Whoever could do everything until now still can; an empty database gets the binding with its first project."""
    row = op.get_bind().execute(sa.text("SELECT revision FROM log_head")).first()
    if row is None:
        return
    now = op.get_bind().execute(sa.text("SELECT max(time) FROM event")).scalar() or 0
    op.bulk_insert(
        bindings,
        [
            {
                "project": "",
                "model": "",
                "id": "admin",
                "uid": str(uuid.uuid4()),
                "role": "admin",
                "members": '[1,["user:admin"]]',
                "condition": '[1,{"stages":[],"read_only_tags":{}}]',
                "description": "",
                "creator": "system:registry",
                "create_time": now,
                "update_time": now,
                "revision": row.revision,
            }
        ],
    )
