"""The version methods of ModelService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.filters.fields import VERSION_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.names import ModelName, ProjectName, VersionName
from registry_grpc.domain.resources import VersionState
from registry_grpc.services.codec.enums import VERSION_STATE
from registry_grpc.services.codec.versions import (
    METADATA_FIELDS,
    metadata_changes,
    metadata_from_wire,
    version_changes,
    version_to_wire,
)
from registry_grpc.services.edge import descending
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.services.pages import MAX_PAGE_BYTES
from registry_grpc.v1 import versions_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.copying import CopyVersion
    from registry_grpc.usecases.deletion import DeleteVersion, UndeleteVersion
    from registry_grpc.usecases.finalize import FinalizeVersion
    from registry_grpc.usecases.governance.withdrawing import SetVersionState
    from registry_grpc.usecases.purge import PurgeVersion
    from registry_grpc.usecases.versions import (
        BatchGetVersions,
        CreateVersion,
        GetVersion,
        ListVersions,
        UpdateVersion,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionVerbs:
    """The use cases of versions."""

    create: CreateVersion
    get: GetVersion
    batch_get: BatchGetVersions
    list: ListVersions
    update: UpdateVersion
    finalize: FinalizeVersion
    delete: DeleteVersion
    undelete: UndeleteVersion
    purge: PurgeVersion
    copy: CopyVersion
    set_state: Callable[[VersionState], SetVersionState]


class VersionMethods:
    """Versions."""

    def __init__(self, edge: Edge, pages: Pages, versions: VersionVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._versions = versions

    async def CreateVersion(
        self, request: versions_pb2.CreateVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        model = ModelName.parse(request.parent, "parent")
        fields = version_changes(request.version, fields_to_create(request.version))
        fields["metadata"] = metadata_from_wire(request.version)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.create(call, model, fields),
            version_to_wire,
        )

    async def GetVersion(self, request: versions_pb2.GetVersionRequest, context: Context) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return version_to_wire(await self._edge.read(lambda: self._versions.get(name)))

    async def BatchGetVersions(
        self, request: versions_pb2.BatchGetVersionsRequest, context: Context
    ) -> versions_pb2.BatchGetVersionsResponse:
        project = ProjectName.parse(request.parent, "parent")
        names = [VersionName.parse(name, f"names[{index}]") for index, name in enumerate(request.names)]
        versions = await self._edge.read(lambda: self._versions.batch_get(project, names))
        answer = versions_pb2.BatchGetVersionsResponse(versions=[version_to_wire(version) for version in versions])
        if answer.ByteSize() > MAX_PAGE_BYTES:
            size, limit = answer.ByteSize(), MAX_PAGE_BYTES
            raise invalid_field("names", f"are versions of {size} bytes together; the limit is {limit}; ask for fewer")
        return answer

    async def ListVersions(
        self, request: versions_pb2.ListVersionsRequest, context: Context
    ) -> versions_pb2.ListVersionsResponse:
        conditions = read_filter(request.filter, VERSION_FIELDS)
        model = ModelName.parse(request.parent, "parent")
        backwards = descending(request.order_by, "number", default=True)
        states = frozenset(
            VERSION_STATE.from_wire(state, f"states[{index}]") for index, state in enumerate(request.states)
        )
        page = self._pages.open(request)
        after = int(page.after[0]) if page.after else 0
        found = await self._edge.read(
            lambda: self._versions.list(
                model,
                after=after,
                limit=page.limit,
                descending=backwards,
                show_deleted=request.show_deleted,
                states=states,
                stage=request.stage,
                conditions=conditions,
            ),
        )
        versions, token = page.close(found, lambda version: (version.name.number,), version_to_wire)
        return versions_pb2.ListVersionsResponse(
            versions=versions,
            next_page_token=token,
        )

    async def UpdateVersion(
        self, request: versions_pb2.UpdateVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.version.name, "version.name")
        taken = fields_to_update(request.version, request.update_mask)
        changes = version_changes(request.version, taken)
        if taken & METADATA_FIELDS:
            changes["metadata"] = metadata_changes(request.version, taken)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.update(call, name, request.version.etag, changes),
            version_to_wire,
        )

    async def FinalizeVersion(
        self, request: versions_pb2.FinalizeVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.finalize(call, name, request.etag, request.manifest_digest),
            version_to_wire,
        )

    async def DeleteVersion(
        self, request: versions_pb2.DeleteVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.delete(call, name, request.etag),
            version_to_wire,
        )

    async def UndeleteVersion(
        self, request: versions_pb2.UndeleteVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.undelete(call, name, request.etag),
            version_to_wire,
        )

    async def PurgeVersion(
        self, request: versions_pb2.PurgeVersionRequest, context: Context
    ) -> versions_pb2.PurgeVersionResponse:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.purge(call, name, request.etag),
            lambda _: versions_pb2.PurgeVersionResponse(),
        )

    async def CopyVersion(
        self, request: versions_pb2.CopyVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        parent = ModelName.parse(request.parent, "parent")
        source = VersionName.parse(request.source, "source")
        return await self._edge.mutate(
            request,
            lambda call: self._versions.copy(call, parent, source, request.version_label),
            version_to_wire,
        )

    async def DeprecateVersion(
        self, request: versions_pb2.DeprecateVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.set_state(VersionState.DEPRECATED)(call, name, request.etag, request.reason),
            version_to_wire,
        )

    async def YankVersion(
        self, request: versions_pb2.YankVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.set_state(VersionState.YANKED)(call, name, request.etag, request.reason),
            version_to_wire,
        )

    async def ReinstateVersion(
        self, request: versions_pb2.ReinstateVersionRequest, context: Context
    ) -> versions_pb2.ModelVersion:
        name = VersionName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._versions.set_state(VersionState.READY)(call, name, request.etag, request.reason),
            version_to_wire,
        )
