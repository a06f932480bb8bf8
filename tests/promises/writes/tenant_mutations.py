"""The mutations that delete, purge and copy: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import models_pb2, projects_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, new_id


def _project(catalogue: Catalogue) -> str:
    return catalogue.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=new_id("p"))).name


def _deleted_project(catalogue: Catalogue) -> str:
    name = _project(catalogue)
    return catalogue.api.projects.DeleteProject(projects_pb2.DeleteProjectRequest(name=name)).name


def delete_project(catalogue: Catalogue) -> Any:
    return projects_pb2.DeleteProjectRequest(name=_project(catalogue)), {"name": _project(catalogue)}


def undelete_project(catalogue: Catalogue) -> Any:
    return projects_pb2.UndeleteProjectRequest(name=_deleted_project(catalogue)), {"name": _project(catalogue)}


def copy_version(catalogue: Catalogue) -> Any:
    source = catalogue.ready(catalogue.model(), b"copied")
    return versions_pb2.CopyVersionRequest(parent=catalogue.model(), source=source.name), {"version_label": "other"}


def purge_project(catalogue: Catalogue) -> Any:
    return projects_pb2.PurgeProjectRequest(name=_deleted_project(catalogue)), {"etag": "other"}


def purge_model(catalogue: Catalogue) -> Any:
    name = catalogue.model()
    catalogue.draft(name)
    catalogue.delete_model(name, force=True)
    return models_pb2.PurgeModelRequest(name=name), {"etag": "other"}


def purge_version(catalogue: Catalogue) -> Any:
    name = catalogue.draft(catalogue.model()).name
    catalogue.delete(name)
    return versions_pb2.PurgeVersionRequest(name=name), {"etag": "other"}


TENANT_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "ProjectService.DeleteProject": delete_project,
    "ProjectService.UndeleteProject": undelete_project,
    "ModelService.CopyVersion": copy_version,
}
PURGES: dict[str, Callable[[Catalogue], Any]] = {
    "ProjectService.PurgeProject": purge_project,
    "ModelService.PurgeModel": purge_model,
    "ModelService.PurgeVersion": purge_version,
}
"""Those that are several transactions, and whose answer says nothing."""
