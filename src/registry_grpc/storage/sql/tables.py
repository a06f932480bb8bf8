"""The tables. `migrations/` must lead to exactly this on both engines; a test compares them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from registry_grpc.domain.artifacts import BlobState, UploadState
from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Choice, Document, Key, Moment, RowNumber

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str) -> Column[str]:
    return Column(name, Key, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Moment, nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _document(name: str, codec: documents.Codec[object] | object, *, nullable: bool = False) -> Column[object]:
    return Column(name, Document(codec), nullable=nullable)  # type: ignore[arg-type]


# One row: which registry this is. `epoch` rises when the database is restored from a backup.
registry = Table(
    "registry",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _key("registry_uid"),
    _count("epoch"),
)

# One row, locked by every write from its advance to its commit: what makes revisions dense and in commit order.
log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _count("revision"),
    _count("audit_size"),
)

project = Table(
    "project",
    metadata,
    Column("id", Key, primary_key=True),
    _key("uid"),
    _text("display_name"),
    _text("description"),
    _document("stages", documents.STAGES),
    _document("tags", documents.LABELS),
    _document("annotations", documents.LABELS),
    _moment("create_time"),
    _moment("update_time"),
    _count("revision"),
    UniqueConstraint("uid"),
)

# What the unique index over exclusive stages must know of a project's stages; follows `project.stages`.
stage = Table(
    "stage",
    metadata,
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    _key("id"),
    Column("exclusive", Boolean, nullable=False),
    PrimaryKeyConstraint("project", "id"),
)

model = Table(
    "model",
    metadata,
    Column("uid", Key, primary_key=True),
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    _key("id"),
    _text("display_name"),
    _text("description"),
    _text("owner"),
    _document("tags", documents.LABELS),
    _document("annotations", documents.LABELS),
    _text("creator"),
    _count("last_version_number"),
    _moment("create_time"),
    _moment("update_time"),
    _moment("delete_time", nullable=True),
    _moment("purge_time", nullable=True),
    _count("revision"),
    UniqueConstraint("project", "id"),
)

# `project` and `model` repeat what the model's row says: names never change, and reads need no join.
version = Table(
    "version",
    metadata,
    Column("uid", Key, primary_key=True),
    Column("model_uid", Key, ForeignKey("model.uid"), nullable=False),
    _key("project"),
    _key("model"),
    _count("number"),
    Column("state", Choice(VersionState), nullable=False),
    _key("stage"),
    Column("stage_exclusive", Boolean, nullable=False),
    _key("version_label"),
    _text("owner"),
    _text("description"),
    _text("model_card"),
    _document("tags", documents.LABELS),
    _document("annotations", documents.LABELS),
    _document("metadata", documents.METADATA),
    _document("formats", documents.FORMATS),
    _count("file_count"),
    _count("total_size_bytes"),
    _key("manifest_digest"),
    _text("creator"),
    _moment("create_time"),
    _moment("update_time"),
    _moment("finalize_time", nullable=True),
    _moment("expire_time", nullable=True),
    _moment("delete_time", nullable=True),
    _moment("purge_time", nullable=True),
    _count("revision"),
    UniqueConstraint("model_uid", "number"),
    UniqueConstraint("project", "model", "number"),
)
_LABELLED = text("version_label <> ''")
_EXCLUSIVE = text("stage_exclusive AND delete_time IS NULL")
_STAGED = text("stage <> ''")
_FINALIZED = text("manifest_digest <> ''")
_DRAFT = text("state = 'draft'")
Index(
    "ux_version_label",
    version.c.model_uid,
    version.c.version_label,
    unique=True,
    postgresql_where=_LABELLED,
    sqlite_where=_LABELLED,
)
Index(
    "ux_version_exclusive_stage",
    version.c.model_uid,
    version.c.stage,
    unique=True,
    postgresql_where=_EXCLUSIVE,
    sqlite_where=_EXCLUSIVE,
)
Index(
    "ix_version_stage",
    version.c.project,
    version.c.stage,
    version.c.model,
    postgresql_where=_STAGED,
    sqlite_where=_STAGED,
)
Index(
    "ix_version_manifest_digest",
    version.c.manifest_digest,
    version.c.model_uid,
    postgresql_where=_FINALIZED,
    sqlite_where=_FINALIZED,
)
Index("ix_version_expire_time", version.c.expire_time, postgresql_where=_DRAFT, sqlite_where=_DRAFT)

pointer = Table(
    "pointer",
    metadata,
    Column("model_uid", Key, ForeignKey("model.uid"), nullable=False),
    Column("kind", Choice(PointerKind), nullable=False),
    _key("id"),
    _key("project"),
    _key("model"),
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=True, index=True),
    _count("previous_number"),
    _count("generation"),
    _count("revision"),
    _moment("set_time", nullable=True),
    _text("actor"),
    _text("justification"),
    PrimaryKeyConstraint("model_uid", "kind", "id"),
    Index(None, "project", "kind", "id"),
)

stage_assignment = Table(
    "stage_assignment",
    metadata,
    Column("model_uid", Key, ForeignKey("model.uid"), nullable=False),
    _count("revision"),
    Column("idx", Integer, nullable=False),
    _key("stage"),
    _key("from_stage"),
    _key("project"),
    _key("model"),
    _count("number"),
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=False),
    _text("manifest_digest"),
    _count("previous_number"),
    Column("action", Choice(StageAction), nullable=False),
    _text("actor"),
    _text("justification"),
    _text("request_id"),
    _moment("assign_time"),
    PrimaryKeyConstraint("model_uid", "revision", "idx"),
    Index(None, "model_uid", "stage", "revision", "idx"),
)

blob = Table(
    "blob",
    metadata,
    Column("uid", Key, primary_key=True),
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    _key("sha256"),
    _count("size_bytes"),
    _key("key"),
    _bytes("block_digests"),
    Column("state", Choice(BlobState), nullable=False),
    _moment("create_time"),
    _moment("lease_until", nullable=True),
    UniqueConstraint("key"),
    Index(None, "state", "create_time"),
)
_HELD = text("state IN ('live', 'condemned')")
Index(
    "ux_blob_held",
    blob.c.project,
    blob.c.sha256,
    blob.c.size_bytes,
    unique=True,
    postgresql_where=_HELD,
    sqlite_where=_HELD,
)

artifact = Table(
    "artifact",
    metadata,
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=False),
    _key("path"),
    _key("artifact_id"),
    _key("project"),
    _key("model"),
    _count("number"),
    Column("blob_uid", Key, ForeignKey("blob.uid"), nullable=False, index=True),
    _text("sha256"),
    _count("size_bytes"),
    _text("media_type"),
    _moment("create_time"),
    _count("revision"),
    PrimaryKeyConstraint("version_uid", "path"),
    UniqueConstraint("version_uid", "artifact_id"),
)

upload = Table(
    "upload",
    metadata,
    Column("id", Key, primary_key=True),
    Column("project", Key, ForeignKey("project.id"), nullable=False),
    Column("version_uid", Key, ForeignKey("version.uid"), nullable=False),
    _key("model"),
    _count("number"),
    _key("path"),
    _count("size_bytes"),
    _text("sha256"),
    _text("media_type"),
    Column("state", Choice(UploadState), nullable=False),
    _count("epoch"),
    _key("key"),
    _text("store_upload"),
    _count("part_bytes"),
    _count("persisted_size"),
    _text("creator"),
    _moment("create_time"),
    _moment("expire_time"),
    _text("artifact_etag"),
    Column("deduplicated", Boolean, nullable=False),
    _text("failure"),
    _document("artifact", documents.ARTIFACT, nullable=True),
    Index(None, "version_uid", "state", "create_time", "id"),
    Index(None, "state", "expire_time"),
)

upload_part = Table(
    "upload_part",
    metadata,
    Column("upload", Key, ForeignKey("upload.id"), nullable=False),
    Column("number", Integer, nullable=False),
    _count("size_bytes"),
    _text("etag"),
    _bytes("block_digests"),
    PrimaryKeyConstraint("upload", "number"),
)

event = Table(
    "event",
    metadata,
    _count("revision"),
    Column("idx", Integer, nullable=False),
    _key("project"),
    _key("model"),
    _key("resource_type"),
    _key("stage"),
    Column("action", Choice(Action), nullable=False),
    _text("payload"),
    _text("actor"),
    _text("request_id"),
    _moment("time"),
    PrimaryKeyConstraint("revision", "idx"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_index", RowNumber, primary_key=True, autoincrement=False),
    _count("revision"),
    _bytes("leaf"),
    _bytes("leaf_hash"),
    _moment("time"),
    _text("actor"),
    _text("method"),
    _text("resource"),
    _text("request_id"),
    _text("outcome"),
    _bytes("detail"),
    Index(None, "revision"),
)

idempotency = Table(
    "idempotency",
    metadata,
    _key("principal"),
    _key("request_id"),
    _text("method"),
    _bytes("body_hash"),
    _bytes("answer"),
    _count("revision"),
    Column("create_time", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("principal", "request_id"),
)

token = Table(
    "token",
    metadata,
    Column("id", Key, primary_key=True),
    _bytes("secret_hash"),
    _text("principal"),
    _moment("create_time"),
    _moment("expire_time", nullable=True),
    _moment("revoke_time", nullable=True),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Key, primary_key=True),
    _text("holder"),
    _count("epoch"),
    _moment("expires"),
)
