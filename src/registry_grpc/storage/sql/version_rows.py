"""A version as a row and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.names import VersionName
from registry_grpc.domain.resources import Version

if TYPE_CHECKING:
    from registry_grpc.storage.sql.session import Record


def to_aliases(text: str | None) -> tuple[str, ...]:
    """Of their ids with commas between, in no order; None when there are none."""
    return tuple(sorted(text.split(","))) if text else ()


def to_version(row: Record) -> Version:
    """The version, with its aliases."""
    return Version(
        uid=row.uid,
        model_uid=row.model_uid,
        name=VersionName(row.project, row.model, row.number),
        state=row.state,
        stage=row.stage,
        aliases=to_aliases(row.aliases),
        version_label=row.version_label,
        owner=row.owner,
        description=row.description,
        model_card=row.model_card,
        card=row.card,
        tags=row.tags,
        annotations=row.annotations,
        metadata=row.metadata,
        formats=row.formats,
        file_count=row.file_count,
        total_size_bytes=row.total_size_bytes,
        manifest_digest=row.manifest_digest,
        state_reason=row.state_reason,
        creator=row.creator,
        contributors=row.contributors,
        copied_from=row.copied_from,
        create_time=row.create_time,
        update_time=row.update_time,
        finalize_time=row.finalize_time,
        expire_time=row.expire_time,
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        revision=row.revision,
    )


def to_values(version: Version) -> dict[str, Any]:
    """The columns of its row, without `stage_exclusive`."""
    return {
        "uid": version.uid,
        "model_uid": version.model_uid,
        "project": version.name.project,
        "model": version.name.model,
        "number": version.name.number,
        "state": version.state,
        "stage": version.stage,
        "version_label": version.version_label,
        "owner": version.owner,
        "description": version.description,
        "model_card": version.model_card,
        "card": version.card,
        "tags": version.tags,
        "annotations": version.annotations,
        "metadata": version.metadata,
        "formats": version.formats,
        "file_count": version.file_count,
        "total_size_bytes": version.total_size_bytes,
        "manifest_digest": version.manifest_digest,
        "state_reason": version.state_reason,
        "creator": version.creator,
        "contributors": version.contributors,
        "copied_from": version.copied_from,
        "create_time": version.create_time,
        "update_time": version.update_time,
        "finalize_time": version.finalize_time,
        "expire_time": version.expire_time,
        "delete_time": version.delete_time,
        "purge_time": version.purge_time,
        "revision": version.revision,
    }
