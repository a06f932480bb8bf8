"""Runs, and the graph of what came from what.

A row of the graph belongs to whom it tells of: a version (its provenance, what it is a copy of), a run, or the links
of a project. It goes with its owner, and whoever writes an owner anew replaces exactly its rows. `down` and `up` are
keys of nodes: the uid of what is a row elsewhere, so that deployments and evidence are joined from their own tables,
else a digest over project, type and id.
"""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.lineage import LineageRelation, NodeType
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Key, choice, count, document, key, moment, text
from registry_grpc.storage.sql.tables.metadata import metadata

run = Table(
    "run",
    metadata,
    key("project"),
    key("id"),
    key("uid"),
    document("body", documents.RUN),
    moment("create_time"),
    count("revision"),
    PrimaryKeyConstraint("project", "id"),
    UniqueConstraint("uid"),
    Index(None, "project", "create_time", "id"),
)

# Project and model of an end say who may see it; empty for what lies in no model.
lineage_edge = Table(
    "lineage_edge",
    metadata,
    key("owner"),
    key("id"),
    key("project"),
    key("down"),
    choice("down_type", NodeType),
    text("down_id"),
    key("down_project"),
    key("down_model"),
    key("up"),
    choice("up_type", NodeType),
    text("up_id"),
    key("up_project"),
    key("up_model"),
    choice("relation", LineageRelation),
    key("origin"),
    moment("create_time", nullable=True),
    text("creator"),
    count("revision"),
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "down"),
    Index(None, "up"),
    Index(None, "project"),
)

# What is said of nodes that are rows nowhere else, by whom; what was said last counts.
lineage_node = Table(
    "lineage_node",
    metadata,
    key("owner"),
    key("node"),
    key("project"),
    text("display_name"),
    text("uri"),
    text("digest"),
    document("properties", documents.LABELS),
    count("revision"),
    PrimaryKeyConstraint("owner", "node"),
    Index(None, "node", "revision"),
    Index(None, "project"),
)

# Held by whoever adds edges that could close a cycle: two of them would not see each other's.
lineage_lock = Table("lineage_lock", metadata, Column("project", Key, primary_key=True), count("taken"))

# Versions from before there was a graph, until the leader has written what they say.
lineage_missing = Table("lineage_missing", metadata, Column("version_uid", Key, primary_key=True))
