"""Signatures of versions, and the signers that are trusted. Whether a signature counts is asked when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.evidence import MAX_SIGNATURES, ModelSignature, TrustedSigner, Verdict
from registry_grpc.domain.evidence_names import SignatureName, TrustedSignerName
from registry_grpc.storage.sql.tables import model_signature as table
from registry_grpc.storage.sql.tables import trusted_signer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (trusted_signer.c.project == bindparam("in_project")) & (trusted_signer.c.id == bindparam("with_id"))
_GET_SIGNER = select(trusted_signer).where(_NAMED)
_OF_PROJECT = trusted_signer.c.project == bindparam("in_project")
_LIST_SIGNERS = (
    select(trusted_signer)
    .where(_OF_PROJECT, trusted_signer.c.id > bindparam("after"))
    .order_by(trusted_signer.c.id)
    .limit(bindparam("limit"))
)
_ALL_SIGNERS = select(trusted_signer).where(_OF_PROJECT).order_by(trusted_signer.c.id).with_for_update()
_COUNT_SIGNERS = select(func.count().label("many")).where(_OF_PROJECT)
_INSERT_SIGNER = insert_or_skip(trusted_signer).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_DELETE_SIGNER = delete(trusted_signer).where(trusted_signer.c.uid == bindparam("with_uid"))

_OF = table.c.version_uid == bindparam("of")
_TRUSTED = trusted_signer.c.uid.label("trusted_uid")
_WITH_SIGNER = table.outerjoin(trusted_signer, trusted_signer.c.uid == table.c.signer_uid)
_LIGHT = [column for column in table.c if column.name != "bundle"]
_GET = select(table, _TRUSTED).select_from(_WITH_SIGNER).where(_OF, table.c.id == bindparam("with_id"))
_LIST = (
    select(*_LIGHT, _TRUSTED)
    .select_from(_WITH_SIGNER)
    .where(_OF, table.c.revision > bindparam("after"))
    .order_by(table.c.revision)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count().label("many")).where(_OF)
_INSERT = insert(table)
_DELETE_OF = delete(table).where(_OF)


class TrustedSigners:
    """Implements `ports.evidence.TrustedSigners`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: TrustedSignerName) -> TrustedSigner | None:
        """See the port."""
        row = self._session.one(_GET_SIGNER, {"in_project": name.project, "with_id": name.signer})
        return _signer(row) if row else None

    def lock(self, name: TrustedSignerName) -> TrustedSigner | None:
        """See the port."""
        statement = _GET_SIGNER.with_for_update()
        row = self._session.lock(statement, {"in_project": name.project, "with_id": name.signer})
        return _signer(row) if row else None

    def list(self, project: str, *, after: str, limit: int) -> Sequence[TrustedSigner]:
        """See the port."""
        values = {"in_project": project, "after": after, "limit": limit}
        return [_signer(row) for row in self._session.all(_LIST_SIGNERS, values)]

    def count(self, project: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT_SIGNERS, {"in_project": project})
        return int(row.many) if row else 0

    def insert(self, signer: TrustedSigner) -> None:
        """See the port."""
        if self._session.stamp(_INSERT_SIGNER, _signer_values(signer)) != 1:
            raise RegistryError(
                Reason.RESOURCE_EXISTS, f"{signer.name} exists already; choose another id", resource=signer.name
            )

    def delete(self, uid: str) -> None:
        """See the port."""
        self._session.replace(_DELETE_SIGNER, {"with_uid": uid})

    def delete_all(self, project: str) -> Sequence[TrustedSigner]:
        """See the port."""
        gone = [_signer(row) for row in self._session.lock_rows(_ALL_SIGNERS, {"in_project": project})]
        for each in gone:
            self.delete(each.uid)
        return gone


class Signatures:
    """Implements `ports.evidence.Signatures`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, version_uid: str, signature_id: str) -> ModelSignature | None:
        """See the port."""
        row = self._session.one(_GET, {"of": version_uid, "with_id": signature_id})
        return _signature(row, bytes(row.bundle)) if row else None

    def list(self, version_uid: str, *, after: int, limit: int) -> Sequence[ModelSignature]:
        """See the port."""
        values = {"of": version_uid, "after": after, "limit": limit}
        return [_signature(row) for row in self._session.all(_LIST, values)]

    def of_version(self, version_uid: str) -> Sequence[ModelSignature]:
        """See the port."""
        return self.list(version_uid, after=0, limit=MAX_SIGNATURES)

    def count(self, version_uid: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT, {"of": version_uid})
        return int(row.many) if row else 0

    def insert(self, signature: ModelSignature) -> None:
        """See the port."""
        self._session.stamp(_INSERT, _values(signature))

    def delete_of(self, version_uid: str) -> None:
        """See the port."""
        self._session.stamp(_DELETE_OF, {"of": version_uid})


def _signer(row: Record) -> TrustedSigner:
    return TrustedSigner(
        uid=row.uid,
        name=TrustedSignerName(row.project, row.id),
        display_name=row.display_name,
        public_key=row.public_key,
        certificate_authorities=row.certificate_authorities,
        certificate_identity=row.certificate_identity,
        key_id=row.key_id,
        creator=row.creator,
        create_time=row.create_time,
        revision=row.revision,
    )


def _signer_values(signer: TrustedSigner) -> dict[str, Any]:
    return {
        "project": signer.name.project,
        "id": signer.name.signer,
        "uid": signer.uid,
        "display_name": signer.display_name,
        "public_key": signer.public_key,
        "certificate_authorities": signer.certificate_authorities,
        "certificate_identity": signer.certificate_identity,
        "key_id": signer.key_id,
        "creator": signer.creator,
        "create_time": signer.create_time,
        "revision": signer.revision,
    }


def _signature(row: Record, bundle: bytes = b"") -> ModelSignature:
    forsaken = row.verdict is Verdict.VALID and row.trusted_uid is None
    return ModelSignature(
        name=SignatureName(row.project, row.model, row.number, row.id),
        version_uid=row.version_uid,
        verdict=Verdict.UNTRUSTED if forsaken else row.verdict,
        failure=f"{row.trusted_signer} is trusted no more" if forsaken else row.failure,
        signer_uid="" if forsaken else row.signer_uid,
        trusted_signer="" if forsaken else row.trusted_signer,
        signer=row.signer,
        bundle_sha256=row.bundle_sha256,
        bundle=bundle,
        manifest_digest=row.manifest_digest,
        create_time=row.create_time,
        creator=row.creator,
        revision=row.revision,
    )


def _values(signature: ModelSignature) -> dict[str, Any]:
    return {
        "id": signature.name.id,
        "version_uid": signature.version_uid,
        "project": signature.name.project,
        "model": signature.name.model,
        "number": signature.name.number,
        "verdict": signature.verdict,
        "failure": signature.failure,
        "signer_uid": signature.signer_uid,
        "trusted_signer": signature.trusted_signer,
        "signer": signature.signer,
        "bundle_sha256": signature.bundle_sha256,
        "bundle": signature.bundle,
        "manifest_digest": signature.manifest_digest,
        "create_time": signature.create_time,
        "creator": signature.creator,
        "revision": signature.revision,
    }
