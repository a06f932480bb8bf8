"""Versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import enum_number
from registry_grpc.client.session import Session
from registry_grpc.client.version_fields import VersionFields, version_message
from registry_grpc.v1 import versions_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

FINALIZE_TIMEOUT_S = 300.0
"""Finalizing reads the head of every file to find its format."""


class VersionCalls(Session):
    """Create, read, change, finalize, delete versions. Every method raises RegistryError.

    A version is named by number (`fraud/7`) or by resource name; `resolve` finds the number of anything else.
    """

    def create_version(self, model: str, **fields: Unpack[VersionFields]) -> versions_pb2.ModelVersion:
        """A new DRAFT with the next number."""
        request = versions_pb2.CreateVersionRequest(parent=self.model_name(model), version=version_message(fields))
        return self._connection.write(self._connection.stubs.models.CreateVersion, request)

    def get_version(self, version: str) -> versions_pb2.ModelVersion:
        """One version, also a deleted one."""
        request = versions_pb2.GetVersionRequest(name=self.reference(version).version_name)
        return self._connection.read(self._connection.stubs.models.GetVersion, request)

    def batch_get_versions(self, versions: Iterable[str]) -> list[versions_pb2.ModelVersion]:
        """Up to 100 versions of this client's project, in the order given; all or nothing."""
        names = [self.reference(version).version_name for version in versions]
        request = versions_pb2.BatchGetVersionsRequest(parent=self.project_name(), names=names)
        return list(self._connection.read(self._connection.stubs.models.BatchGetVersions, request).versions)

    def list_versions(
        self,
        model: str,
        *,
        states: Iterable[str | int] = (),
        stage: str = "",
        filter: str = "",  # noqa: A002 -- the contract's word
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> Iterable[versions_pb2.ModelVersion]:
        """The versions of a model, newest first; fetched page by page. `states` by name, e.g. draft."""
        parent = self.model_name(model)
        kind = versions_pb2.VersionState.DESCRIPTOR
        wanted: Any = [enum_number(kind, state, "states") for state in states]

        def fetch(token: str) -> versions_pb2.ListVersionsResponse:
            request = versions_pb2.ListVersionsRequest(
                parent=parent,
                page_size=page_size,
                page_token=token,
                filter=filter,
                order_by=order_by,
                show_deleted=show_deleted,
                states=wanted,
                stage=stage,
            )
            return self._connection.read(self._connection.stubs.models.ListVersions, request)

        return Pages[versions_pb2.ModelVersion](fetch, "versions")

    def update_version(
        self, version: str, *, etag: str = "", **fields: Unpack[VersionFields]
    ) -> versions_pb2.ModelVersion:
        """The changed version; once finalized only owner, description, model_card, card, tags and annotations may."""
        changed = version_message(fields, self.reference(version).version_name)
        changed.etag = etag
        request = versions_pb2.UpdateVersionRequest(version=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.models.UpdateVersion, request)

    def finalize_version(self, version: str, *, manifest_digest: str = "", etag: str = "") -> versions_pb2.ModelVersion:
        """The version, now READY and frozen; `manifest_digest` is what the files must give."""
        request = versions_pb2.FinalizeVersionRequest(
            name=self.reference(version).version_name, manifest_digest=manifest_digest, etag=etag
        )
        timeout_s = max(FINALIZE_TIMEOUT_S, self._connection.settings.timeout_s)
        return self._connection.write(self._connection.stubs.models.FinalizeVersion, request, timeout_s=timeout_s)

    finalize = finalize_version

    def delete_version(self, version: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The deleted version, which can be restored for a while."""
        request = versions_pb2.DeleteVersionRequest(name=self.reference(version).version_name, etag=etag)
        return self._connection.write(self._connection.stubs.models.DeleteVersion, request)

    def deprecate_version(self, version: str, reason: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The version, marked as one that nobody should take up."""
        name = self.reference(version).version_name
        request = versions_pb2.DeprecateVersionRequest(name=name, reason=reason, etag=etag)
        return self._connection.write(self._connection.stubs.models.DeprecateVersion, request)

    def yank_version(self, version: str, reason: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The version, withdrawn: it is not promoted or rolled back to any more."""
        name = self.reference(version).version_name
        request = versions_pb2.YankVersionRequest(name=name, reason=reason, etag=etag)
        return self._connection.write(self._connection.stubs.models.YankVersion, request)

    def reinstate_version(self, version: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The version, READY again."""
        request = versions_pb2.ReinstateVersionRequest(name=self.reference(version).version_name, etag=etag)
        return self._connection.write(self._connection.stubs.models.ReinstateVersion, request)

    def undelete_version(self, version: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The version as it was before it was deleted."""
        request = versions_pb2.UndeleteVersionRequest(name=self.reference(version).version_name, etag=etag)
        return self._connection.write(self._connection.stubs.models.UndeleteVersion, request)

    def purge_version(self, version: str, *, etag: str = "") -> None:
        """Remove a deleted version for good. Its number stays taken."""
        request = versions_pb2.PurgeVersionRequest(name=self.reference(version).version_name, etag=etag)
        self._connection.write(self._connection.stubs.models.PurgeVersion, request)

    def copy_version(self, source: str, model: str, *, version_label: str = "") -> versions_pb2.ModelVersion:
        """A READY copy of `source` in `model`, of this or another project; no byte is stored twice."""
        request = versions_pb2.CopyVersionRequest(
            parent=self.model_name(model), source=self.reference(source).version_name, version_label=version_label
        )
        return self._connection.write(self._connection.stubs.models.CopyVersion, request)
