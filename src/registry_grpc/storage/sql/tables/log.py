"""The log of events, the audit trail, and what keeps calls and processes apart."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table

from registry_grpc.domain.events import Action
from registry_grpc.storage.sql.columns import (
    Key,
    Moment,
    RowNumber,
    choice,
    count,
    flag,
    index_where,
    key,
    moment,
    octets,
    text,
)
from registry_grpc.storage.sql.tables.metadata import metadata

# One row: which registry this is. `epoch` rises when the database is restored from a backup; `marked` once the artifact
# store says whose it is.
registry = Table(
    "registry",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    key("registry_uid"),
    count("epoch"),
    flag("marked"),
)

# One row, locked by every write from its advance to its commit: what makes revisions dense and in commit order.
log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    count("revision"),
    count("audit_size"),
)

event = Table(
    "event",
    metadata,
    count("revision"),
    Column("idx", Integer, nullable=False),
    key("project"),
    key("model"),
    key("resource_type"),
    key("stage"),
    choice("action", Action),
    text("payload"),
    text("actor"),
    text("request_id"),
    moment("time"),
    PrimaryKeyConstraint("revision", "idx"),
)

# `project` follows from `resource` and is there to be searched; everything else is in the leaf.
audit = Table(
    "audit",
    metadata,
    Column("audit_index", RowNumber, primary_key=True, autoincrement=False),
    count("revision"),
    octets("leaf"),
    moment("time"),
    text("actor"),
    text("method"),
    text("resource"),
    text("request_id"),
    text("outcome"),
    octets("detail"),
    key("project"),
    text("authentication"),
    text("peer"),
    octets("before"),
    text("changes"),
    Index(None, "revision"),
    Index(None, "project", "audit_index"),
    Index(None, "actor", "audit_index"),
    index_where("ix_audit_named", "request_id <> ''", "request_id"),
)

# Hashes of whole subtrees of 2**level entries, of the levels 8, 16, …: what proofs are made of.
audit_node = Table(
    "audit_node",
    metadata,
    Column("level", Integer, nullable=False),
    count("idx"),
    octets("hash"),
    PrimaryKeyConstraint("level", "idx"),
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    octets("root"),
    text("note"),
    moment("time"),
)

idempotency = Table(
    "idempotency",
    metadata,
    key("principal"),
    key("request_id"),
    text("method"),
    octets("body_hash"),
    octets("answer"),
    count("revision"),
    Column("create_time", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("principal", "request_id"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Key, primary_key=True),
    text("holder"),
    count("epoch"),
    moment("expires"),
)
