"""Models and their aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message
from registry_grpc.client.projects import PURGE_TIMEOUT_S
from registry_grpc.client.session import Session
from registry_grpc.v1 import models_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ModelCalls(Session):
    """Create, read, change, delete models; set aliases. Every method raises RegistryError."""

    def create_model(
        self,
        model: str,
        *,
        display_name: str = "",
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> models_pb2.Model:
        """The new model; `model` is an id or `project:id`."""
        parent, _, model_id = self.model_name(model).rpartition("/models/")
        fields = models_pb2.Model(
            display_name=display_name, description=description, owner=owner, tags=tags, annotations=annotations
        )
        request = models_pb2.CreateModelRequest(parent=parent, model_id=model_id, model=fields)
        return self._connection.write(self._connection.stubs.models.CreateModel, request)

    def get_model(self, model: str) -> models_pb2.Model:
        """One model, also a deleted one."""
        request = models_pb2.GetModelRequest(name=self.model_name(model))
        return self._connection.read(self._connection.stubs.models.GetModel, request)

    def list_models(
        self,
        project: str | None = None,
        *,
        filter: str = "",  # noqa: A002 -- the contract's word
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> Iterable[models_pb2.Model]:
        """The models of a project, by id; fetched page by page."""
        parent = self.project_name(project)

        def fetch(token: str) -> models_pb2.ListModelsResponse:
            request = models_pb2.ListModelsRequest(
                parent=parent,
                page_size=page_size,
                page_token=token,
                filter=filter,
                order_by=order_by,
                show_deleted=show_deleted,
            )
            return self._connection.read(self._connection.stubs.models.ListModels, request)

        return Pages[models_pb2.Model](fetch, "models")

    def update_model(self, model: str, *, etag: str = "", **fields: Any) -> models_pb2.Model:  # noqa: ANN401 -- checked by field
        """The changed model; `fields` are display_name, description, owner, tags, annotations."""
        changed = message(models_pb2.Model, fields, "model")
        changed.name = self.model_name(model)
        changed.etag = etag
        request = models_pb2.UpdateModelRequest(model=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.models.UpdateModel, request)

    def delete_model(self, model: str, *, etag: str = "", force: bool = False) -> models_pb2.Model:
        """The deleted model, which can be restored for a while; `force` also deletes its versions."""
        request = models_pb2.DeleteModelRequest(name=self.model_name(model), etag=etag, force=force)
        return self._connection.write(self._connection.stubs.models.DeleteModel, request)

    def undelete_model(self, model: str, *, etag: str = "") -> models_pb2.Model:
        """The model as it was before it was deleted."""
        request = models_pb2.UndeleteModelRequest(name=self.model_name(model), etag=etag)
        return self._connection.write(self._connection.stubs.models.UndeleteModel, request)

    def purge_model(self, model: str, *, etag: str = "") -> None:
        """Remove a deleted model with its versions for good. Its id is free then."""
        request = models_pb2.PurgeModelRequest(name=self.model_name(model), etag=etag)
        timeout_s = max(PURGE_TIMEOUT_S, self._connection.settings.timeout_s)
        self._connection.write(self._connection.stubs.models.PurgeModel, request, timeout_s=timeout_s)

    def list_aliases(self, model: str, *, page_size: int = 0) -> Iterable[models_pb2.Alias]:
        """The aliases of a model; `latest` is not among them."""
        parent = self.model_name(model)

        def fetch(token: str) -> models_pb2.ListAliasesResponse:
            request = models_pb2.ListAliasesRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.models.ListAliases, request)

        return Pages[models_pb2.Alias](fetch, "aliases")

    def update_aliases(
        self,
        model: str,
        *,
        set: Mapping[str, int] | None = None,  # noqa: A002 -- the contract's word
        delete: Iterable[str] = (),
        expected: Mapping[str, int] | None = None,
    ) -> models_pb2.UpdateAliasesResponse:
        """Several aliases of a model in one transaction; `expected` maps alias to its present version, 0 for none."""
        request = models_pb2.UpdateAliasesRequest(
            parent=self.model_name(model), set=set, delete=list(delete), expected=expected
        )
        return self._connection.write(self._connection.stubs.models.UpdateAliases, request)

    def set_alias(self, version: str, alias: str, *, expected: int | None = None) -> models_pb2.Alias:
        """The alias, now pointing at `version` (`fraud/7`); `expected` is where it must point now, 0 for nowhere."""
        found = self.reference(version)
        number = int(found.version_name.rpartition("/")[2])
        wanted = None if expected is None else {alias: expected}
        answer = self.update_aliases(found.model_name, set={alias: number}, expected=wanted)
        return answer.aliases[0]

    def delete_alias(self, model: str, alias: str, *, expected: int | None = None) -> None:
        """Delete one alias; `expected` is the version it must point at."""
        self.update_aliases(model, delete=[alias], expected=None if expected is None else {alias: expected})
