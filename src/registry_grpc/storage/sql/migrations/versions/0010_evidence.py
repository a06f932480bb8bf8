"""Trusted signers, signatures and evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _keys(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, KEY, nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "trusted_signer",
        *_keys("project", "id", "uid"),
        *_texts("display_name", "public_key", "certificate_authorities", "certificate_identity"),
        *_keys("key_id"),
        *_texts("creator"),
        *_counts("create_time", "revision"),
        sa.PrimaryKeyConstraint("project", "id", name=op.f("pk_trusted_signer")),
        sa.UniqueConstraint("uid", name=op.f("uq_trusted_signer_uid")),
    )
    op.create_table(
        "model_signature",
        *_keys("id", "version_uid", "project", "model"),
        *_counts("number"),
        *_keys("verdict"),
        *_texts("failure"),
        *_keys("signer_uid"),
        *_texts("trusted_signer", "signer"),
        *_keys("bundle_sha256"),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        *_keys("manifest_digest"),
        *_counts("create_time"),
        *_texts("creator"),
        *_counts("revision"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_signature")),
    )
    op.create_index("ix_model_signature_list", "model_signature", ["version_uid", "revision"])
    op.create_table(
        "evidence",
        *_keys("id", "version_uid", "project", "model"),
        *_counts("number"),
        *_keys("kind"),
        *_texts("tool", "tool_version"),
        *_keys("outcome"),
        *_texts("summary"),
        *_counts("findings"),
        *_keys("manifest_digest", "report_sha256"),
        *_texts("report_uri"),
        *_counts("run_time"),
        *_texts("annotations", "reporter"),
        *_counts("create_time", "revision"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    op.create_index("ix_evidence_list", "evidence", ["version_uid", "revision"])
