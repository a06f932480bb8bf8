"""Files, the bytes held for them, and uploads."""

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.artifacts import BlobState, UploadState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Key, choice, count, document, flag, index_where, key, moment, octets, text
from registry_grpc.storage.sql.tables.metadata import metadata

# A blob outlives its project until its bytes are collected. Several may name one object, after copies between projects:
# an object may be deleted only when no LIVE, DAMAGED or CONDEMNED blob of any project has its key.
blob = Table(
    "blob",
    metadata,
    Column("uid", Key, primary_key=True),
    key("project"),
    key("sha256"),
    count("size_bytes"),
    key("key"),
    octets("block_digests"),
    choice("state", BlobState),
    moment("create_time"),
    moment("lease_until", nullable=True),
    moment("check_time"),
    text("damage"),
    moment("damage_time", nullable=True),
    moment("condemned_at", nullable=True),
    Index(None, "key"),
    Index(None, "state", "create_time"),
    Index(None, "state", "check_time"),
)
index_where(
    "ux_blob_held", "state IN ('live', 'condemned')", blob.c.project, blob.c.sha256, blob.c.size_bytes, unique=True
)
index_where("ix_blob_unneeded", "state IN ('condemned', 'deleting')", blob.c.condemned_at, blob.c.uid)

artifact = Table(
    "artifact",
    metadata,
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=False),
    key("path"),
    key("folded_path"),
    key("artifact_id"),
    key("project"),
    key("model"),
    count("number"),
    Column("blob_uid", Key, ForeignKey("blob.uid"), nullable=False, index=True),
    text("sha256"),
    count("size_bytes"),
    text("media_type"),
    moment("create_time"),
    count("revision"),
    PrimaryKeyConstraint("version_uid", "path"),
    UniqueConstraint("version_uid", "artifact_id"),
    Index(None, "version_uid", "folded_path"),
)

# One that ended without a file outlives its version until the store has dropped what it left there.
upload = Table(
    "upload",
    metadata,
    Column("id", Key, primary_key=True),
    key("project"),
    key("version_uid"),
    key("model"),
    count("number"),
    key("path"),
    count("size_bytes"),
    text("sha256"),
    text("media_type"),
    choice("state", UploadState),
    count("epoch"),
    key("key"),
    text("store_upload"),
    count("part_bytes"),
    count("persisted_size"),
    text("creator"),
    document("writers", documents.WORDS),
    moment("create_time"),
    moment("expire_time"),
    text("artifact_etag"),
    moment("sealed_until", nullable=True),
    flag("deduplicated"),
    text("failure"),
    flag("dropped"),
    document("artifact", documents.ARTIFACT, nullable=True),
    Index(None, "version_uid", "state", "create_time", "id"),
    Index(None, "state", "expire_time"),
    Index(None, "key"),
)
index_where("ix_upload_open", "state IN ('active', 'finalizing')", upload.c.creator)
index_where("ix_upload_ended", "state IN ('failed', 'cancelled', 'expired') AND NOT dropped", upload.c.expire_time)

upload_part = Table(
    "upload_part",
    metadata,
    Column("upload", Key, ForeignKey("upload.id"), nullable=False),
    Column("number", Integer, nullable=False),
    count("size_bytes"),
    text("etag"),
    octets("block_digests"),
    PrimaryKeyConstraint("upload", "number"),
)

# What lies in the artifact store and no row accounts for; `store_upload` is empty for an object.
orphan = Table(
    "orphan",
    metadata,
    key("key"),
    key("store_upload"),
    moment("first_seen"),
    moment("last_seen"),
    PrimaryKeyConstraint("key", "store_upload"),
    Index(None, "last_seen"),
)
