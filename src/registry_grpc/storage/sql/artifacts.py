"""Files of versions, sorted by the bytes of their paths."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, bindparam, delete, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.artifacts import Artifact, folded
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.names import VersionName
from registry_grpc.storage.sql.tables import artifact as table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from registry_grpc.storage.sql.session import Record, Session

_AT_ONCE = 50

_OF_VERSION = select(table).where(table.c.version_uid == bindparam("version_uid"))
_GET = _OF_VERSION.where(table.c.artifact_id == bindparam("artifact_id"))
_LIST = _OF_VERSION.where(table.c.path > bindparam("after")).order_by(table.c.path).limit(bindparam("limit"))
_DIGESTS = select(table.c.path, table.c.sha256, table.c.size_bytes).where(
    table.c.version_uid == bindparam("version_uid")
)
_COUNT = select(func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)).where(
    table.c.version_uid == bindparam("version_uid")
)
_OF_BLOB = select(table).where(table.c.blob_uid == bindparam("blob_uid")).limit(bindparam("limit"))
_BLOBS = select(table.c.blob_uid).where(table.c.version_uid == bindparam("version_uid")).distinct()
_INSERT_NEW = insert(table)
_DELETE_OF = delete(table).where(table.c.version_uid == bindparam("version_uid"))
_LOGICAL = select(func.coalesce(func.sum(table.c.size_bytes), 0))
_PATHS = select(table.c.path).where(table.c.version_uid == bindparam("version_uid"))
_AT = _PATHS.where(table.c.folded_path.in_(bindparam("folded", expanding=True)))
_INSERT = upsert(table)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[table.c.version_uid, table.c.path],
    set_={
        name: _INSERT.excluded[name]
        for name in ("blob_uid", "sha256", "size_bytes", "media_type", "create_time", "revision")
    },
)


@cache
def _below(paths: int) -> Select[Any]:
    """What lies in the directories of that many paths; `/` and `0` are neighbours, so a range says it."""
    column = table.c.folded_path
    bounds = [
        (bindparam(f"from_{i}", type_=column.type), bindparam(f"to_{i}", type_=column.type)) for i in range(paths)
    ]
    return _PATHS.where(or_(*(and_(column >= low, column < high) for low, high in bounds)))


def _bounds(paths: Sequence[str]) -> dict[str, str]:
    low = {f"from_{i}": f"{path}/" for i, path in enumerate(paths)}
    return low | {f"to_{i}": f"{path}0" for i, path in enumerate(paths)}


def _upwards(path: str) -> Iterator[str]:
    """The path and the directories above it."""
    while path:
        yield path
        path = path.rpartition("/")[0]


class Artifacts:
    """Implements `ports.stored.Artifacts`."""

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

    def digests(self, version_uid: str) -> Mapping[str, Digest]:
        """See the port."""
        rows = self._session.all(_DIGESTS, {"version_uid": version_uid})
        return {path: Digest(sha256, size_bytes) for path, sha256, size_bytes in rows}

    def count(self, version_uid: str) -> tuple[int, int]:
        """See the port."""
        row = self._session.one(_COUNT, {"version_uid": version_uid})
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def colliding(self, version_uid: str, paths: Collection[str]) -> Sequence[str]:
        """See the port."""
        found: set[str] = set()
        wanted = sorted({folded(path) for path in paths})
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            at = sorted({place for path in some for place in _upwards(path)})
            found.update(row.path for row in self._session.all(_AT, {"version_uid": version_uid, "folded": at}))
            below = {"version_uid": version_uid, **_bounds(some)}
            found.update(row.path for row in self._session.all(_below(len(some)), below))
        return sorted(found)

    def of_blob(self, blob_uid: str, limit: int) -> Sequence[Artifact]:
        """See the port."""
        return [_artifact(row) for row in self._session.all(_OF_BLOB, {"blob_uid": blob_uid, "limit": limit})]

    def blob_uids(self, version_uid: str) -> Sequence[str]:
        """See the port."""
        return [row.blob_uid for row in self._session.all(_BLOBS, {"version_uid": version_uid})]

    def logical_bytes(self) -> int:
        """See the port."""
        row = self._session.one(_LOGICAL, {})
        return int(row[0]) if row else 0

    def put(self, artifact: Artifact) -> None:
        """See the port."""
        self._session.stamp(_PUT, _values(artifact))

    def insert_all(self, artifacts: Sequence[Artifact]) -> None:
        """See the port."""
        if artifacts:
            self._session.stamp(_INSERT_NEW, [_values(artifact) for artifact in artifacts])

    def delete_of(self, version_uid: str) -> None:
        """See the port."""
        self._session.stamp(_DELETE_OF, {"version_uid": version_uid})


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
        "folded_path": folded(artifact.path),
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
