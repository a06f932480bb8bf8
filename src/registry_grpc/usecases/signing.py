"""Trusted signers, and the signatures of versions: verified against digests once, when they are added."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.evidence import MAX_SIGNATURES, MAX_SIGNERS, ModelSignature, TrustedSigner
from registry_grpc.domain.evidence_names import SignatureName
from registry_grpc.domain.resources import Project
from registry_grpc.domain.signing.bundle import require_bundle
from registry_grpc.domain.signing.judging import judge, signer_fields
from registry_grpc.usecases.checks import require_etag
from registry_grpc.usecases.evidence import require_room, sealed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.evidence_names import TrustedSignerName
    from registry_grpc.domain.names import ProjectName, VersionName
    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit


@dataclass(frozen=True, slots=True)
class CreateTrustedSigner:
    """Makes a signer known. Bundles that were added before are not judged again."""

    store: Store
    ids: Ids

    def __call__(
        self,
        call: Call[TrustedSigner],
        name: TrustedSignerName,
        display_name: str,
        *,
        public_key: str,
        certificate_authorities: str,
        certificate_identity: str,
    ) -> Committed[TrustedSigner]:
        """The signer.

        Raises: INVALID_FIELD, PROJECT_NOT_FOUND, RESOURCE_EXISTS, QUOTA_EXCEEDED, PERMISSION_MISSING.
        """
        fields = signer_fields(public_key, certificate_authorities, certificate_identity)
        uid = self.ids.uuid()

        def work(unit: Unit) -> TrustedSigner:
            project = unit.projects.get(name.project)
            call.grant.require(project.name, tags=(project.tags,))
            _require_room_for(unit, name)
            revision = unit.advance(str(name))
            signer = TrustedSigner(
                uid=uid,
                name=name,
                display_name=display_name,
                creator=call.principal.name,
                create_time=unit.now,
                revision=revision,
                **fields,
            )
            unit.trusted_signers.insert(signer)
            unit.record(Action.CREATED, signer)
            return signer

        return self.store.write(work, call)


def _require_room_for(unit: Unit, name: TrustedSignerName) -> None:
    if unit.trusted_signers.count(name.project) >= MAX_SIGNERS and unit.trusted_signers.get(name) is None:
        raise RegistryError(
            Reason.QUOTA_EXCEEDED,
            f"{name.parent} has {MAX_SIGNERS} trusted signers, which is the limit; delete one that is not needed",
            resource=name.parent,
            quota="trusted_signers",
            limit=MAX_SIGNERS,
        )


def _signer_not_found(name: TrustedSignerName) -> RegistryError:
    return RegistryError(
        Reason.TRUSTED_SIGNER_NOT_FOUND,
        f"{name} does not exist; list the trusted signers of {name.parent} to see those that do",
        resource=name,
    )


@dataclass(frozen=True, slots=True)
class GetTrustedSigner:
    """One trusted signer."""

    store: Store

    def __call__(self, name: TrustedSignerName) -> TrustedSigner:
        """Raises: TRUSTED_SIGNER_NOT_FOUND, PROJECT_NOT_FOUND."""

        def work(reader: Reader) -> TrustedSigner:
            reader.projects.get(name.project)
            found = reader.trusted_signers.get(name)
            if found is None:
                raise _signer_not_found(name)
            return found

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListTrustedSigners:
    """Trusted signers of a project, by id."""

    store: Store

    def __call__(self, parent: ProjectName, *, after: str, limit: int) -> Sequence[TrustedSigner]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[TrustedSigner]:
            reader.projects.get(parent.project)
            return reader.trusted_signers.list(parent.project, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class DeleteTrustedSigner:
    """Trusts a signer no more, and so none of the signatures by it."""

    store: Store

    def __call__(self, call: Call[None], name: TrustedSignerName, etag: str) -> Committed[None]:
        """Raises: TRUSTED_SIGNER_NOT_FOUND, ETAG_MISMATCH, PERMISSION_MISSING."""

        def work(unit: Unit) -> None:
            project = unit.projects.get(name.project)
            call.grant.require(name, tags=(project.tags,))
            before = unit.trusted_signers.lock(name)
            if before is None:
                raise _signer_not_found(name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            unit.trusted_signers.delete(before.uid)
            unit.record(Action.DELETED, replace(before, delete_time=unit.now, revision=revision))

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class AddSignature:
    """Adds a bundle to a finalized version, with what the server makes of it."""

    store: Store
    ids: Ids
    max_files: int

    def __call__(self, call: Call[ModelSignature], parent: VersionName, bundle: bytes) -> Committed[ModelSignature]:
        """The signature without its bundle. A bundle that fails is kept too, with its verdict.

        Raises: INVALID_FIELD for what is no bundle, VERSION_NOT_FOUND, VERSION_STATE, QUOTA_EXCEEDED.
        """
        require_bundle(bundle)
        signature_id = self.ids.uuid()

        def work(unit: Unit) -> ModelSignature:
            version = sealed_version(unit, call, parent)
            require_room(parent, "signatures", unit.signatures.count(version.uid), MAX_SIGNATURES)
            listed = unit.artifacts.list(version.uid, after="", limit=self.max_files)
            files = {file.path: file.digest.sha256 for file in listed}
            signers = unit.trusted_signers.list(parent.project, after="", limit=MAX_SIGNERS)
            found = judge(bundle, files, signers, unit.now)
            revision = unit.advance(str(parent))
            made = ModelSignature(
                name=SignatureName(parent.project, parent.model, parent.number, signature_id),
                version_uid=version.uid,
                verdict=found.verdict,
                failure=found.failure,
                signer_uid=found.by.uid if found.by else "",
                trusted_signer=str(found.by.name) if found.by else "",
                signer=found.signer,
                bundle_sha256=hashlib.sha256(bundle).hexdigest(),
                manifest_digest=version.manifest_digest,
                create_time=unit.now,
                creator=call.principal.name,
                revision=revision,
            )
            unit.signatures.insert(replace(made, bundle=bundle))
            unit.record(Action.CREATED, made)
            return made

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetSignature:
    """One signature with its bundle."""

    store: Store

    def __call__(self, name: SignatureName) -> ModelSignature:
        """Raises: SIGNATURE_NOT_FOUND, VERSION_NOT_FOUND."""

        def work(reader: Reader) -> ModelSignature:
            found = reader.signatures.get(reader.versions.get(name.parent).uid, name.id)
            if found is None:
                raise RegistryError(
                    Reason.SIGNATURE_NOT_FOUND,
                    f"{name} does not exist; list the signatures of {name.parent}",
                    resource=name,
                )
            return found

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListSignatures:
    """Signatures of a version without their bundles, the oldest first."""

    store: Store

    def __call__(self, parent: VersionName, *, after: int, limit: int) -> Sequence[ModelSignature]:
        """A keyset page by revision.

        Raises: VERSION_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[ModelSignature]:
            return reader.signatures.list(reader.versions.get(parent).uid, after=after, limit=limit)

        return self.store.read(work)


def remove_trusted_signers(unit: Unit, gone: Project | Model) -> None:
    """Remove the trusted signers of a project that is purged. After `Unit.advance`."""
    if isinstance(gone, Project):
        revision = unit.feed.head()
        for signer in unit.trusted_signers.delete_all(gone.name.project):
            unit.record(Action.PURGED, replace(signer, revision=revision))
