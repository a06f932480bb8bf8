"""ArtifactService: decode, call, encode. The streams have files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.names import ArtifactName, ProjectName, UploadName, VersionName
from registry_grpc.services.codec.artifacts import (
    artifact_to_wire,
    attachment_from_wire,
    digest_from_wire,
    digest_to_wire,
    upload_to_wire,
)
from registry_grpc.services.codec.enums import UPLOAD_STATE
from registry_grpc.services.codec.times import duration_from_wire, time_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.uploads import uploader_of
from registry_grpc.usecases.attach import Attachment
from registry_grpc.usecases.uploads import UploadRequest
from registry_grpc.v1 import artifacts_pb2, artifacts_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from registry_grpc.services.consumption import Consumption
    from registry_grpc.services.downloads import Downloads
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.services.uploads import Uploads
    from registry_grpc.usecases.attach import AttachArtifacts, Attached, FindMissingArtifacts
    from registry_grpc.usecases.files import GetArtifact, ListArtifacts, SignArtifactUrl
    from registry_grpc.usecases.uploads import CancelUpload, GetUpload, ListUploads, StartUpload

DEFAULT_URL_TTL = timedelta(minutes=5)
MAX_URL_TTL = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactVerbs:
    """The use cases of artifacts."""

    find_missing: FindMissingArtifacts
    attach: AttachArtifacts
    start_upload: StartUpload
    get_upload: GetUpload
    list_uploads: ListUploads
    cancel_upload: CancelUpload
    get: GetArtifact
    list: ListArtifacts
    sign_url: SignArtifactUrl


class ArtifactServicer(artifacts_pb2_grpc.ArtifactServiceServicer):
    """Artifacts and uploads."""

    def __init__(
        self,
        edge: Edge,
        pages: Pages,
        verbs: ArtifactVerbs,
        uploads: Uploads,
        downloads: Downloads,
        consumption: Consumption,
    ) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs
        self._uploads = uploads
        self._downloads = downloads
        self._consumption = consumption

    async def FindMissingArtifacts(
        self, request: artifacts_pb2.FindMissingArtifactsRequest, context: Context
    ) -> artifacts_pb2.FindMissingArtifactsResponse:
        project = ProjectName.parse(request.parent, "parent")
        digests = [digest_from_wire(digest, f"digests[{index}]") for index, digest in enumerate(request.digests)]
        missing = await self._edge.read(lambda: self._verbs.find_missing(project, digests))
        return artifacts_pb2.FindMissingArtifactsResponse(missing=[digest_to_wire(digest) for digest in missing])

    async def AttachArtifacts(
        self, request: artifacts_pb2.AttachArtifactsRequest, context: Context
    ) -> artifacts_pb2.AttachArtifactsResponse:
        name = VersionName.parse(request.parent, "parent")
        wanted = [
            Attachment(*attachment_from_wire(attachment, f"attachments[{index}]"))
            for index, attachment in enumerate(request.attachments)
        ]

        def encode(attached: Attached) -> artifacts_pb2.AttachArtifactsResponse:
            return artifacts_pb2.AttachArtifactsResponse(
                artifacts=[artifact_to_wire(artifact) for artifact in attached.artifacts],
                revision=attached.revision,
            )

        return await self._edge.mutate(request, lambda call: self._verbs.attach(call, name, wanted), encode)

    async def StartUpload(self, request: artifacts_pb2.StartUploadRequest, context: Context) -> artifacts_pb2.Upload:
        wanted = UploadRequest(
            version=VersionName.parse(request.parent, "parent"),
            path=request.path,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            media_type=request.media_type,
            etag=request.etag,
        )
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.start_upload(call, wanted),
            upload_to_wire,
        )

    async def WriteUpload(self, request_iterator: AsyncIterator[Any], context: Context) -> artifacts_pb2.Upload:
        """Gets `WriteMessage`s."""
        return upload_to_wire(await self._uploads.receive(request_iterator))

    async def GetUpload(self, request: artifacts_pb2.GetUploadRequest, context: Context) -> artifacts_pb2.Upload:
        name, uploader = UploadName.parse(request.name), uploader_of(call_context(), "uploads.get")
        return upload_to_wire(await self._edge.read(lambda: self._verbs.get_upload(name, uploader)))

    async def ListUploads(
        self, request: artifacts_pb2.ListUploadsRequest, context: Context
    ) -> artifacts_pb2.ListUploadsResponse:
        name = VersionName.parse(request.parent, "parent")
        states = frozenset(
            UPLOAD_STATE.from_wire(state, f"states[{index}]") for index, state in enumerate(request.states)
        )
        call = call_context()
        creator = "" if call.may("uploads.administer", request.parent) else call.principal.name
        page = self._pages.open(request)
        after = None if page.after is None else (_time(int(page.after[0])), str(page.after[1]))
        found = await self._edge.read(
            lambda: self._verbs.list_uploads(name, states=states, after=after, limit=page.limit, creator=creator),
        )
        uploads, token = page.close(
            found, lambda upload: (_micros(upload.create_time), upload.name.upload), upload_to_wire
        )
        return artifacts_pb2.ListUploadsResponse(
            uploads=uploads,
            next_page_token=token,
        )

    async def CancelUpload(self, request: artifacts_pb2.CancelUploadRequest, context: Context) -> artifacts_pb2.Upload:
        name, uploader = UploadName.parse(request.name), uploader_of(call_context(), "uploads.cancel")
        return upload_to_wire(await self._edge.control.run(lambda: self._verbs.cancel_upload(name, uploader)))

    async def GetArtifact(self, request: artifacts_pb2.GetArtifactRequest, context: Context) -> artifacts_pb2.Artifact:
        name = ArtifactName.parse(request.name)
        return artifact_to_wire(await self._edge.read(lambda: self._verbs.get(name)))

    async def ListArtifacts(
        self, request: artifacts_pb2.ListArtifactsRequest, context: Context
    ) -> artifacts_pb2.ListArtifactsResponse:
        name = VersionName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.list(name, after=after, limit=page.limit))
        artifacts, token = page.close(found, lambda artifact: (artifact.path,), artifact_to_wire)
        return artifacts_pb2.ListArtifactsResponse(
            artifacts=artifacts,
            next_page_token=token,
        )

    async def ReadArtifact(
        self, request: artifacts_pb2.ReadArtifactRequest, context: Context
    ) -> AsyncIterator[artifacts_pb2.ReadArtifactResponse]:
        async for message in self._downloads.send(request):
            yield message  # type: ignore[misc] # the serializer takes bytes

    async def SignArtifactUrl(
        self, request: artifacts_pb2.SignArtifactUrlRequest, context: Context
    ) -> artifacts_pb2.SignArtifactUrlResponse:
        name = ArtifactName.parse(request.name)
        ttl = duration_from_wire(request.ttl, "ttl") if request.HasField("ttl") else DEFAULT_URL_TTL
        if not timedelta(seconds=1) <= ttl <= MAX_URL_TTL:
            raise invalid_field(
                "ttl", f"is {ttl.total_seconds():g} s; must be 1 s to {MAX_URL_TTL.total_seconds():g} s"
            )
        signed = await self._edge.read(lambda: self._verbs.sign_url(name, ttl))
        self._consumption.downloaded(call_context().principal.name, signed.artifact.version_uid)
        return artifacts_pb2.SignArtifactUrlResponse(
            url=signed.url,
            expire_time=time_to_wire(signed.expire_time),
            digest=digest_to_wire(signed.artifact.digest),
        )


def _micros(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _time(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
