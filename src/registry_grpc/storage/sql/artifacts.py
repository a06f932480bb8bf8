"""Files of versions, sorted by the bytes of their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.names import VersionName
from registry_grpc.storage.sql.tables import artifact as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.storage.sql.session import Record, Session

_OF_VERSION = select(table).where(table.c.version_uid == bindparam("version_uid"))
_GET = _OF_VERSION.where(table.c.artifact_id == bindparam("artifact_id"))
_LIST = _OF_VERSION.where(table.c.path > bindparam("after")).order_by(table.c.path).limit(bindparam("limit"))
_INSERT = upsert(table)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[table.c.version_uid, table.c.path],
    set_={
        name: _INSERT.excluded[name]
        for name in ("blob_uid", "sha256", "size_bytes", "media_type", "create_time", "revision")
    },
)


class Artifacts:
    """Implements `ports.repositories.Artifacts`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, version_uid: str, artifact_id: str) -> Artifact | None:
        """See the port."""
        row = self._session.one(_GET, {"version_uid": version_uid, "artifact_id": artifact_id})
        return _artifact(row) if row else None

    def list(self, version_uid: str, *, after: str, limit: int) -> Sequence[Artifact]:
        """See the port."""
        values = {"version_uid": version_uid, "after": after, "limit": limit}
        return [_artifact(row) for row in self._session.all(_LIST, values)]

    def put(self, artifact: Artifact) -> None:
        """See the port."""
        self._session.stamp(_PUT, _values(artifact))


def _artifact(row: Record) -> Artifact:
    return Artifact(
        version=VersionName(row.project, row.model, row.number),
        version_uid=row.version_uid,
        path=row.path,
        blob_uid=row.blob_uid,
        digest=Digest(row.sha256, row.size_bytes),
        media_type=row.media_type,
        create_time=row.create_time,
        revision=row.revision,
    )


def _values(artifact: Artifact) -> dict[str, Any]:
    return {
        "version_uid": artifact.version_uid,
        "path": artifact.path,
        "artifact_id": artifact.id,
        "project": artifact.version.project,
        "model": artifact.version.model,
        "number": artifact.version.number,
        "blob_uid": artifact.blob_uid,
        "sha256": artifact.digest.sha256,
        "size_bytes": artifact.digest.size_bytes,
        "media_type": artifact.media_type,
        "create_time": artifact.create_time,
        "revision": artifact.revision,
    }
