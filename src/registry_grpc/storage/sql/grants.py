"""The rights of the role a server logs in as, where another role owns the tables: `deploy/postgresql/grants.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from registry_grpc.storage.sql.faults import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_ROLES = text("SELECT count(*) FROM pg_roles WHERE rolname = :role")
ADDED_TO = ("event", "audit", "audit_node", "audit_checkpoint")
"""Tables whose rows that role can neither change nor delete."""


def statements(role: str) -> Iterator[str]:
    """What is granted to a role, whose name is quoted already."""
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    yield f"REVOKE UPDATE, DELETE ON {', '.join(ADDED_TO)} FROM {role}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}"


def grant(connection: Connection, role: str) -> None:
    """Give the role its rights, and no others, in this transaction.

    Raises: SchemaError on SQLite, which has no roles, for the owner itself, and for a role that is not there.
    """
    if connection.dialect.name != "postgresql":
        raise SchemaError("roles are of PostgreSQL; leave out --grant-to")
    if connection.exec_driver_sql("SELECT current_user").scalar() == role:
        raise SchemaError(f"{role} owns the tables; give another role, which only uses them, or leave out --grant-to")
    if not connection.execute(_ROLES, {"role": role}).scalar():
        raise SchemaError(f"there is no role {role}: CREATE ROLE {role} LOGIN PASSWORD '…', then try again")
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    for statement in statements(quoted):
        # A % in the name is no placeholder.
        connection.exec_driver_sql(statement.replace("%", "%%"))
