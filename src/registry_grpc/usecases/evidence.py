"""Evidence of versions: add, read, list. The registry runs no tool: it keeps what is reported, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.evidence import MAX_EVIDENCE, Evidence
from registry_grpc.domain.evidence_names import EvidenceName
from registry_grpc.domain.resources import VersionState
from registry_grpc.usecases.checks import locked_model, require_live_version, require_manifest_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.evidence import EvidenceKind
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


def sealed_version(unit: Unit, call: Call[Any], name: VersionName) -> Version:
    """A finalized version, its model locked, when the conditions of the caller's bindings allow it.

    Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, VERSION_STATE for a draft, PERMISSION_MISSING.
    """
    model = locked_model(unit, name.parent)
    version = require_live_version(unit.versions.get(name))
    call.grant.require(name, tags=(model.tags, version.tags))
    if version.state is VersionState.DRAFT:
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{name} is DRAFT: its files can still change; finalize it first",
            version=name,
            state="DRAFT",
        )
    return version


def require_room(name: VersionName, quota: str, used: int, limit: int) -> None:
    """Raises: QUOTA_EXCEEDED."""
    if used >= limit:
        raise RegistryError(
            Reason.QUOTA_EXCEEDED,
            f"{name} has {limit} {quota}, which is the limit; nothing more can be added to it",
            resource=name,
            quota=quota,
            limit=limit,
        )


@dataclass(frozen=True, slots=True)
class AddEvidence:
    """Adds evidence to a finalized version."""

    store: Store
    ids: Ids

    def __call__(self, call: Call[Evidence], parent: VersionName, fields: Mapping[str, Any]) -> Committed[Evidence]:
        """The evidence, dated now unless `fields` say when it ran.

        Raises: VERSION_NOT_FOUND, VERSION_STATE, DIGEST_MISMATCH, INVALID_FIELD for a time to come, QUOTA_EXCEEDED.
        """
        evidence_id = self.ids.uuid()

        def work(unit: Unit) -> Evidence:
            version = sealed_version(unit, call, parent)
            require_manifest_digest(version, fields.get("manifest_digest", ""))
            require_room(parent, "evidence", unit.evidence.count(version.uid), MAX_EVIDENCE)
            run_time = fields.get("run_time")
            if run_time is not None and run_time > unit.now:
                raise invalid_field("evidence.run_time", f"is {run_time:%Y-%m-%dT%H:%M:%SZ}, which is yet to come")
            revision = unit.advance(str(parent))
            made = Evidence(
                **{
                    **fields,
                    "name": EvidenceName(parent.project, parent.model, parent.number, evidence_id),
                    "version_uid": version.uid,
                    "manifest_digest": version.manifest_digest,
                    "run_time": run_time or unit.now,
                    "reporter": call.principal.name,
                    "create_time": unit.now,
                    "revision": revision,
                },
            )
            unit.evidence.insert(made)
            unit.record(Action.CREATED, made)
            return made

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetEvidence:
    """One piece of evidence."""

    store: Store

    def __call__(self, name: EvidenceName) -> Evidence:
        """Raises: EVIDENCE_NOT_FOUND, VERSION_NOT_FOUND."""

        def work(reader: Reader) -> Evidence:
            found = reader.evidence.get(reader.versions.get(name.parent).uid, name.id)
            if found is None:
                raise RegistryError(
                    Reason.EVIDENCE_NOT_FOUND,
                    f"{name} does not exist; list the evidence of {name.parent}",
                    resource=name,
                )
            return found

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListEvidence:
    """Evidence of a version, the oldest first."""

    store: Store

    def __call__(
        self, parent: VersionName, kinds: Collection[EvidenceKind], *, after: int, limit: int
    ) -> Sequence[Evidence]:
        """A keyset page by revision.

        Raises: VERSION_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Evidence]:
            return reader.evidence.list(reader.versions.get(parent).uid, kinds, after=after, limit=limit)

        return self.store.read(work)
