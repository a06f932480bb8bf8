"""Roles, bindings, service accounts and tokens. Empty `project` and `model` stand for the registry."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Key, count, document, flag, key, moment, octets, text
from registry_grpc.storage.sql.tables.metadata import metadata

role = Table(
    "role",
    metadata,
    Column("id", Key, primary_key=True),
    key("uid"),
    text("display_name"),
    text("description"),
    document("permissions", documents.WORDS),
    moment("create_time"),
    moment("update_time"),
    count("revision"),
    UniqueConstraint("uid"),
)

role_binding = Table(
    "role_binding",
    metadata,
    key("project"),
    key("model"),
    key("id"),
    key("uid"),
    Column("role", Key, nullable=False, index=True),
    document("members", documents.WORDS),
    document("condition", documents.CONDITION),
    text("description"),
    text("creator"),
    moment("create_time"),
    moment("update_time"),
    count("revision"),
    PrimaryKeyConstraint("project", "model", "id"),
    UniqueConstraint("uid"),
)

service_account = Table(
    "service_account",
    metadata,
    key("project"),
    key("id"),
    key("uid"),
    text("display_name"),
    text("description"),
    flag("disabled"),
    document("certificate_names", documents.WORDS),
    text("creator"),
    moment("create_time"),
    moment("update_time"),
    moment("delete_time", nullable=True),
    count("revision"),
    PrimaryKeyConstraint("project", "id"),
    UniqueConstraint("uid"),
)

# A name in a certificate means one account: the primary key says so to the database.
account_certificate = Table(
    "account_certificate",
    metadata,
    Column("name", Key, primary_key=True),
    key("project"),
    key("id"),
    Index(None, "project", "id"),
)

token = Table(
    "token",
    metadata,
    Column("id", Key, primary_key=True),
    octets("secret_hash"),
    key("principal"),
    text("description"),
    text("creator"),
    moment("create_time"),
    moment("expire_time", nullable=True),
    moment("revoke_time", nullable=True),
    count("revision"),
    Index(None, "principal", "create_time", "id"),
    Index(None, "expire_time"),
)
