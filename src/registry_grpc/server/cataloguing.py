"""The servicers of projects and of models and versions, and their use cases; a part of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.models import ModelServicer, ModelVerbs
from registry_grpc.services.projects import ProjectServicer, ProjectVerbs
from registry_grpc.services.versions import VersionVerbs
from registry_grpc.usecases import (
    aliases,
    copying,
    deletion,
    models,
    project_deletion,
    projects,
    purge,
    quotas,
    versions,
)
from registry_grpc.usecases.finalize import FinalizeVersion
from registry_grpc.usecases.governance.withdrawing import SetVersionState

if TYPE_CHECKING:
    from registry_grpc.server.servicers import Core
    from registry_grpc.services.pages import Pages


def project_servicer(core: Core, pages: Pages) -> ProjectServicer:
    """Projects over the store of `core`."""
    store = core.edge.store
    verbs = ProjectVerbs(
        create=projects.CreateProject(store, core.ids),
        get=projects.GetProject(store),
        list=projects.ListProjects(store),
        update=projects.UpdateProject(store),
        delete=project_deletion.DeleteProject(store, core.holders, core.undelete_window),
        undelete=project_deletion.UndeleteProject(store),
        purge=purge.PurgeProject(store, core.purger),
        usage=quotas.GetProjectUsage(store),
    )
    return ProjectServicer(core.edge, pages, verbs)


def model_servicer(core: Core, pages: Pages, max_files: int) -> ModelServicer:
    """Models and their versions, of at most `max_files` files, over the store of `core`."""
    return ModelServicer(core.edge, pages, _model_verbs(core), _version_verbs(core, max_files))


def _model_verbs(core: Core) -> ModelVerbs:
    store = core.edge.store
    return ModelVerbs(
        create=models.CreateModel(store, core.ids),
        get=models.GetModel(store),
        list=models.ListModels(store),
        update=models.UpdateModel(store),
        delete=deletion.DeleteModel(store, core.holders, core.undelete_window),
        undelete=deletion.UndeleteModel(store),
        purge=purge.PurgeModel(store, core.purger),
        list_aliases=aliases.ListAliases(store),
        update_aliases=aliases.UpdateAliases(store),
    )


def _version_verbs(core: Core, max_files: int) -> VersionVerbs:
    store = core.edge.store
    return VersionVerbs(
        create=versions.CreateVersion(store, core.ids, core.draft_retention),
        get=versions.GetVersion(store),
        batch_get=versions.BatchGetVersions(store),
        list=versions.ListVersions(store),
        update=versions.UpdateVersion(store, core.draft_retention),
        finalize=FinalizeVersion(store, core.artifacts, max_files),
        delete=deletion.DeleteVersion(store, core.holders, core.undelete_window),
        undelete=deletion.UndeleteVersion(store, core.draft_retention),
        purge=purge.PurgeVersion(store, core.purger),
        copy=copying.CopyVersion(store, core.ids, max_files),
        set_state=lambda state: SetVersionState(store, state),
    )
