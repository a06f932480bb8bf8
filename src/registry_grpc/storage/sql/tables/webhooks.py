"""Webhooks and their deliveries."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.webhooks import DeliveryState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import (
    Key,
    choice,
    count,
    document,
    flag,
    index_where,
    key,
    moment,
    octets,
    text,
)
from registry_grpc.storage.sql.tables.metadata import metadata

webhook = Table(
    "webhook",
    metadata,
    key("project"),
    key("id"),
    key("uid"),
    text("display_name"),
    text("url"),
    document("models", documents.WORDS),
    document("resource_types", documents.WORDS),
    document("actions", documents.WORDS),
    document("stages", documents.WORDS),
    flag("disabled"),
    text("disable_reason"),
    octets("secret"),
    octets("old_secret"),
    moment("old_secret_expire_time", nullable=True),
    text("creator"),
    moment("create_time"),
    moment("update_time"),
    count("revision"),
    # Progress: moves without a revision.
    count("cursor"),
    moment("last_success_time", nullable=True),
    text("last_error"),
    PrimaryKeyConstraint("project", "id"),
    UniqueConstraint("uid"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Key, primary_key=True),
    key("webhook_uid"),
    key("lane"),
    count("event_revision"),
    Column("event_index", Integer, nullable=False),
    text("event_type"),
    text("subject"),
    text("body"),
    choice("state", DeliveryState),
    document("attempts", documents.ATTEMPTS),
    Column("tries", Integer, nullable=False),
    moment("next_attempt_time", nullable=True),
    key("claim"),
    moment("create_time"),
    moment("end_time", nullable=True),
    Index("ix_delivery_list", "webhook_uid", "create_time", "event_revision", "event_index", "id"),
)
# One delivery per event and webhook, whoever fills the line; tests of a webhook have no event.
index_where(
    "ux_delivery_event",
    "event_revision > 0",
    delivery.c.webhook_uid,
    delivery.c.event_revision,
    delivery.c.event_index,
    unique=True,
)
index_where(
    "ix_delivery_line",
    "state = 'pending'",
    delivery.c.webhook_uid,
    delivery.c.lane,
    delivery.c.event_revision,
    delivery.c.event_index,
)
index_where("ix_delivery_due", "next_attempt_time IS NOT NULL", delivery.c.next_attempt_time)
index_where("ix_delivery_dead", "state = 'dead'", delivery.c.webhook_uid)
index_where("ix_delivery_end_time", "end_time IS NOT NULL", delivery.c.end_time)
