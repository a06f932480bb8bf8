"""Trusted signers, signatures and evidence."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from registry_grpc.domain.evidence import EvidenceKind, EvidenceOutcome, Verdict
from registry_grpc.storage.sql import documents
from registry_grpc.storage.sql.columns import Key, choice, count, document, key, moment, octets, text
from registry_grpc.storage.sql.tables.metadata import metadata

trusted_signer = Table(
    "trusted_signer",
    metadata,
    key("project"),
    key("id"),
    key("uid"),
    text("display_name"),
    text("public_key"),
    text("certificate_authorities"),
    text("certificate_identity"),
    key("key_id"),
    text("creator"),
    moment("create_time"),
    count("revision"),
    PrimaryKeyConstraint("project", "id"),
    UniqueConstraint("uid"),
)

model_signature = Table(
    "model_signature",
    metadata,
    Column("id", Key, primary_key=True),
    key("version_uid"),
    key("project"),
    key("model"),
    count("number"),
    choice("verdict", Verdict),
    text("failure"),
    key("signer_uid"),
    text("trusted_signer"),
    text("signer"),
    key("bundle_sha256"),
    octets("bundle"),
    key("manifest_digest"),
    moment("create_time"),
    text("creator"),
    count("revision"),
    Index("ix_model_signature_list", "version_uid", "revision"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Key, primary_key=True),
    key("version_uid"),
    key("project"),
    key("model"),
    count("number"),
    choice("kind", EvidenceKind),
    text("tool"),
    text("tool_version"),
    choice("outcome", EvidenceOutcome),
    text("summary"),
    count("findings"),
    key("manifest_digest"),
    key("report_sha256"),
    text("report_uri"),
    moment("run_time"),
    document("annotations", documents.LABELS),
    text("reporter"),
    moment("create_time"),
    count("revision"),
    Index("ix_evidence_list", "version_uid", "revision"),
)
