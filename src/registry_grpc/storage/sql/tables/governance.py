"""Policies, each version of them a row, and promotion requests with what was decided on them."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from registry_grpc.domain.promotion import RequestState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import choice, count, document, flag, index_where, key, moment
from registry_grpc.storage.sql.tables.metadata import metadata

policy = Table(
    "policy",
    metadata,
    key("project"),
    key("id"),
    count("policy_version"),
    # The newest version of a policy that is not deleted.
    flag("present"),
    document("body", documents.POLICY),
    count("revision"),
    PrimaryKeyConstraint("project", "id", "policy_version"),
)
index_where("ux_policy_present", "present", policy.c.project, policy.c.id, unique=True)

promotion_request = Table(
    "promotion_request",
    metadata,
    key("project"),
    key("model"),
    count("number"),
    key("uid"),
    key("model_uid"),
    key("stage"),
    choice("state", RequestState),
    document("body", documents.PROMOTION_REQUEST),
    moment("create_time"),
    moment("expire_time"),
    count("revision"),
    PrimaryKeyConstraint("project", "model", "number"),
    Index(None, "project", "create_time", "uid"),
    Index(None, "model_uid", "number"),
)
index_where("ix_promotion_request_open", "state = 'pending'", promotion_request.c.model_uid, promotion_request.c.stage)
index_where("ix_promotion_request_due", "state = 'pending'", promotion_request.c.expire_time)
