"""Evidence of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select

from registry_grpc.domain.evidence import MAX_EVIDENCE, Evidence, EvidenceKind
from registry_grpc.domain.evidence_names import EvidenceName
from registry_grpc.storage.sql.tables import evidence as table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.storage.sql.session import Record, Session

_OF = table.c.version_uid == bindparam("of")
_GET = select(table).where(_OF, table.c.id == bindparam("with_id"))
_LIST = (
    select(table)
    .where(_OF, table.c.revision > bindparam("after"), table.c.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(table.c.revision)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count().label("many")).where(_OF)
_INSERT = insert(table)
_DELETE_OF = delete(table).where(_OF)


class EvidenceItems:
    """Implements `ports.evidence.EvidenceItems`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, version_uid: str, evidence_id: str) -> Evidence | None:
        """See the port."""
        row = self._session.one(_GET, {"of": version_uid, "with_id": evidence_id})
        return _evidence(row) if row else None

    def list(self, version_uid: str, kinds: Collection[EvidenceKind], *, after: int, limit: int) -> Sequence[Evidence]:
        """See the port."""
        values = {"of": version_uid, "kinds": list(kinds or EvidenceKind), "after": after, "limit": limit}
        return [_evidence(row) for row in self._session.all(_LIST, values)]

    def of_version(self, version_uid: str) -> Sequence[Evidence]:
        """See the port."""
        return self.list(version_uid, (), after=0, limit=MAX_EVIDENCE)

    def count(self, version_uid: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT, {"of": version_uid})
        return int(row.many) if row else 0

    def insert(self, evidence: Evidence) -> None:
        """See the port."""
        self._session.stamp(_INSERT, _values(evidence))

    def delete_of(self, version_uid: str) -> None:
        """See the port."""
        self._session.stamp(_DELETE_OF, {"of": version_uid})


def _evidence(row: Record) -> Evidence:
    return Evidence(
        name=EvidenceName(row.project, row.model, row.number, row.id),
        version_uid=row.version_uid,
        kind=row.kind,
        tool=row.tool,
        tool_version=row.tool_version,
        outcome=row.outcome,
        summary=row.summary,
        findings=row.findings,
        manifest_digest=row.manifest_digest,
        report_sha256=row.report_sha256,
        report_uri=row.report_uri,
        run_time=row.run_time,
        annotations=row.annotations,
        reporter=row.reporter,
        create_time=row.create_time,
        revision=row.revision,
    )


def _values(evidence: Evidence) -> dict[str, Any]:
    return {
        "id": evidence.name.id,
        "version_uid": evidence.version_uid,
        "project": evidence.name.project,
        "model": evidence.name.model,
        "number": evidence.name.number,
        "kind": evidence.kind,
        "tool": evidence.tool,
        "tool_version": evidence.tool_version,
        "outcome": evidence.outcome,
        "summary": evidence.summary,
        "findings": evidence.findings,
        "manifest_digest": evidence.manifest_digest,
        "report_sha256": evidence.report_sha256,
        "report_uri": evidence.report_uri,
        "run_time": evidence.run_time,
        "annotations": evidence.annotations,
        "reporter": evidence.reporter,
        "create_time": evidence.create_time,
        "revision": evidence.revision,
    }
