"""Builders over the RPCs of a real server: each says only what a test is about."""

import hashlib
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.v1 import (
    artifacts_pb2,
    common_pb2,
    models_pb2,
    projects_pb2,
    server_pb2,
    stages_pb2,
    versions_pb2,
)
from tests.kit.server import Api

REVISION = "x-registry-revision"
MIN_REVISION = "x-registry-min-revision"
PATH_TO = {"staging": ("staging",), "production": ("staging", "production")}
_numbers = itertools.count(1)


def new_id(prefix: str) -> str:
    """An id nobody used before."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def request_id() -> str:
    """A new one."""
    return str(uuid.uuid4())


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Call `work(number)` from that many threads that start together; results in order."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class Catalogue:
    """One project of its own on a server, so that tests that share the server do not meet."""

    def __init__(self, api: Api, project: str | None = None, **fields: Any) -> None:
        """Creates the project, unless it is named."""
        self.api = api
        self.parent = f"projects/{project}" if project else self._new_project(fields)

    def _new_project(self, fields: dict[str, Any]) -> str:
        request = projects_pb2.CreateProjectRequest(
            project_id=new_id("p"), project=projects_pb2.Project(**fields) if fields else None
        )
        return self.api.projects.CreateProject(request).name

    def on(self, api: Api) -> "Catalogue":
        """The same project through another server."""
        return Catalogue(api, self.parent.removeprefix("projects/"))

    def revision(self) -> int:
        """Newest revision of the registry."""
        return self.api.server.GetServerInfo(server_pb2.GetServerInfoRequest()).current_revision

    def model(self, model_id: str = "", **fields: Any) -> str:
        """Name of a new model."""
        request = models_pb2.CreateModelRequest(
            parent=self.parent, model_id=model_id or new_id("m"), model=models_pb2.Model(**fields)
        )
        return self.api.models.CreateModel(request).name

    def draft(self, model: str, **fields: Any) -> versions_pb2.ModelVersion:
        """A new draft."""
        version = versions_pb2.ModelVersion(**fields)
        return self.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model, version=version))

    def upload(self, version: str, path: str, content: bytes) -> None:
        """Put one small file into a draft."""
        start = artifacts_pb2.StartUploadRequest(parent=version, path=path, size_bytes=len(content))
        upload = self.api.artifacts.StartUpload(start)
        self.api.artifacts.WriteUpload(
            iter(
                [
                    artifacts_pb2.WriteUploadRequest(
                        name=upload.name,
                        chunk=common_pb2.Chunk(content=content),
                        finish_write=True,
                        digest=common_pb2.Digest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)),
                    )
                ]
            )
        )

    def finalize(self, version: str, **fields: Any) -> versions_pb2.ModelVersion:
        """Freeze a draft."""
        return self.api.models.FinalizeVersion(versions_pb2.FinalizeVersionRequest(name=version, **fields))

    def ready(self, model: str, content: bytes = b"", **fields: Any) -> versions_pb2.ModelVersion:
        """A finalized version with one file; its content is unique unless given."""
        draft = self.draft(model, **fields)
        self.upload(draft.name, "weights.bin", content or f"weights {next(_numbers)} {uuid.uuid4()}".encode())
        return self.finalize(draft.name)

    def readies(self, model: str, count: int) -> list[versions_pb2.ModelVersion]:
        """Several of them."""
        return [self.ready(model) for _ in range(count)]

    def promote(self, version: str, stage: str, **fields: Any) -> stages_pb2.PromoteVersionResponse:
        """One promotion."""
        return self.api.stages.PromoteVersion(stages_pb2.PromoteVersionRequest(name=version, stage=stage, **fields))

    def bring(self, version: str, stage: str) -> stages_pb2.PromoteVersionResponse:
        """Promote along the default path up to `stage`."""
        for each in PATH_TO.get(stage, (stage,)):
            answer = self.promote(version, each)
        return answer

    def rollback(self, model: str, stage: str = "production", **fields: Any) -> stages_pb2.RollbackStageResponse:
        """Roll a stage back."""
        return self.api.stages.RollbackStage(stages_pb2.RollbackStageRequest(name=f"{model}/stages/{stage}", **fields))

    def vacate(self, model: str, stage: str = "production", **fields: Any) -> stages_pb2.VacateStageResponse:
        """Empty a stage."""
        return self.api.stages.VacateStage(stages_pb2.VacateStageRequest(name=f"{model}/stages/{stage}", **fields))

    def alias(self, model: str, **to: int) -> models_pb2.UpdateAliasesResponse:
        """Set aliases."""
        return self.api.models.UpdateAliases(models_pb2.UpdateAliasesRequest(parent=model, set=to))

    def unalias(self, model: str, *names: str) -> models_pb2.UpdateAliasesResponse:
        """Delete aliases."""
        return self.api.models.UpdateAliases(models_pb2.UpdateAliasesRequest(parent=model, delete=names))

    def resolve(self, model: str, **question: Any) -> stages_pb2.ResolveResponse:
        """One Resolve."""
        return self.api.stages.Resolve(stages_pb2.ResolveRequest(name=model, **question))

    def holder(self, model: str, stage: str = "production") -> int:
        """Number of the holder of a stage, 0 when it is vacant."""
        request = stages_pb2.GetStageRequest(name=f"{model}/stages/{stage}")
        return self.api.stages.GetStage(request).version_number

    def version(self, name: str) -> versions_pb2.ModelVersion:
        """One version."""
        return self.api.models.GetVersion(versions_pb2.GetVersionRequest(name=name))

    def versions(self, model: str, **fields: Any) -> list[versions_pb2.ModelVersion]:
        """One page of versions."""
        request = versions_pb2.ListVersionsRequest(parent=model, **fields)
        return list(self.api.models.ListVersions(request).versions)

    def update(self, version: str, *paths: str, **fields: Any) -> versions_pb2.ModelVersion:
        """Change a version, by mask when paths are given."""
        return self.api.models.UpdateVersion(
            versions_pb2.UpdateVersionRequest(
                version=versions_pb2.ModelVersion(name=version, **fields),
                update_mask=FieldMask(paths=paths) if paths else None,
            )
        )

    def delete(self, version: str, **fields: Any) -> versions_pb2.ModelVersion:
        """Delete a version."""
        return self.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=version, **fields))

    def undelete(self, version: str, **fields: Any) -> versions_pb2.ModelVersion:
        """Undelete a version."""
        return self.api.models.UndeleteVersion(versions_pb2.UndeleteVersionRequest(name=version, **fields))

    def update_model(self, model: str, *paths: str, **fields: Any) -> models_pb2.Model:
        """Change a model by mask."""
        changed = models_pb2.Model(name=model, **fields)
        return self.api.models.UpdateModel(
            models_pb2.UpdateModelRequest(model=changed, update_mask=FieldMask(paths=paths))
        )

    def delete_model(self, model: str, **fields: Any) -> models_pb2.Model:
        """Delete a model."""
        return self.api.models.DeleteModel(models_pb2.DeleteModelRequest(name=model, **fields))

    def undelete_model(self, model: str, **fields: Any) -> models_pb2.Model:
        """Undelete a model."""
        return self.api.models.UndeleteModel(models_pb2.UndeleteModelRequest(name=model, **fields))

    def history(self, model: str, stage: str = "") -> list[stages_pb2.StageAssignment]:
        """All of the history, newest first."""
        return list(
            pages(self.api.stages.ListStageHistory, stages_pb2.ListStageHistoryRequest(parent=model, stage=stage))
        )


def pages(method: Callable[[Any], Any], request: Any) -> Iterator[Any]:
    """Every item of a list, page after page."""
    query = type(request)()
    query.CopyFrom(request)
    while True:
        answer = method(query)
        items = next(field.name for field in answer.DESCRIPTOR.fields if field.message_type is not None)
        yield from getattr(answer, items)
        if not answer.next_page_token:
            return
        query.page_token = answer.next_page_token
