"""ModelService: decode, call, encode. Versions are in `versions.py`, which this servicer inherits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.filters.fields import MODEL_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.services.codec.models import model_changes, model_to_wire
from registry_grpc.services.codec.pointers import alias_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.edge import descending
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.services.versions import VersionMethods
from registry_grpc.usecases.aliases import AliasChanges
from registry_grpc.v1 import models_pb2, models_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.services.versions import VersionVerbs
    from registry_grpc.usecases.aliases import AliasesChanged, ListAliases, UpdateAliases
    from registry_grpc.usecases.deletion import DeleteModel, UndeleteModel
    from registry_grpc.usecases.models import CreateModel, GetModel, ListModels, UpdateModel
    from registry_grpc.usecases.purge import PurgeModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerbs:
    """The use cases of models and aliases."""

    create: CreateModel
    get: GetModel
    list: ListModels
    update: UpdateModel
    delete: DeleteModel
    undelete: UndeleteModel
    purge: PurgeModel
    list_aliases: ListAliases
    update_aliases: UpdateAliases


class ModelServicer(VersionMethods, models_pb2_grpc.ModelServiceServicer):
    """Models, versions, aliases."""

    def __init__(self, edge: Edge, pages: Pages, models: ModelVerbs, versions: VersionVerbs) -> None:
        """Made by the composition root."""
        super().__init__(edge, pages, versions)
        self._models = models

    async def CreateModel(self, request: models_pb2.CreateModelRequest, context: Context) -> models_pb2.Model:
        name = ModelName(ProjectName.parse(request.parent, "parent").project, request.model_id)
        fields = model_changes(request.model, fields_to_create(request.model))
        return await self._edge.mutate(request, lambda call: self._models.create(call, name, fields), model_to_wire)

    async def GetModel(self, request: models_pb2.GetModelRequest, context: Context) -> models_pb2.Model:
        name = ModelName.parse(request.name)
        return model_to_wire(await self._edge.read(lambda: self._models.get(name)))

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, context: Context
    ) -> models_pb2.ListModelsResponse:
        conditions = read_filter(request.filter, MODEL_FIELDS)
        project = ProjectName.parse(request.parent, "parent")
        backwards = descending(request.order_by, "name")
        visible = call_context().rights.visible_models(project.project)
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(
            lambda: self._models.list(
                project,
                after=after,
                limit=page.limit,
                descending=backwards,
                show_deleted=request.show_deleted,
                only=visible,
                conditions=conditions,
            ),
        )
        models, token = page.close(found, lambda model: (model.name.model,), model_to_wire)
        return models_pb2.ListModelsResponse(models=models, next_page_token=token)

    async def UpdateModel(self, request: models_pb2.UpdateModelRequest, context: Context) -> models_pb2.Model:
        name = ModelName.parse(request.model.name, "model.name")
        changes = model_changes(request.model, fields_to_update(request.model, request.update_mask))
        return await self._edge.mutate(
            request,
            lambda call: self._models.update(call, name, request.model.etag, changes),
            model_to_wire,
        )

    async def DeleteModel(self, request: models_pb2.DeleteModelRequest, context: Context) -> models_pb2.Model:
        name = ModelName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._models.delete(call, name, request.etag, force=request.force),
            model_to_wire,
        )

    async def UndeleteModel(self, request: models_pb2.UndeleteModelRequest, context: Context) -> models_pb2.Model:
        name = ModelName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._models.undelete(call, name, request.etag),
            model_to_wire,
        )

    async def PurgeModel(
        self, request: models_pb2.PurgeModelRequest, context: Context
    ) -> models_pb2.PurgeModelResponse:
        name = ModelName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._models.purge(call, name, request.etag),
            lambda _: models_pb2.PurgeModelResponse(),
        )

    async def ListAliases(
        self, request: models_pb2.ListAliasesRequest, context: Context
    ) -> models_pb2.ListAliasesResponse:
        name = ModelName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._models.list_aliases(name, after=after, limit=page.limit))
        aliases, token = page.close(found, lambda alias: (alias.id,), alias_to_wire)
        return models_pb2.ListAliasesResponse(
            aliases=aliases,
            next_page_token=token,
        )

    async def UpdateAliases(
        self, request: models_pb2.UpdateAliasesRequest, context: Context
    ) -> models_pb2.UpdateAliasesResponse:
        name = ModelName.parse(request.parent, "parent")
        changes = AliasChanges(
            set=dict(request.set),
            delete=tuple(request.delete),
            expected=dict(request.expected),
        )

        def encode(changed: AliasesChanged) -> models_pb2.UpdateAliasesResponse:
            return models_pb2.UpdateAliasesResponse(
                aliases=[alias_to_wire(alias) for alias in changed.aliases],
                revision=changed.revision,
            )

        return await self._edge.mutate(
            request,
            lambda call: self._models.update_aliases(call, name, changes),
            encode,
        )
