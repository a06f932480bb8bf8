"""ProjectService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.names import ProjectName
from registry_grpc.services.codec.projects import project_changes, project_to_wire, usage_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.edge import descending, refuse_filter
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.v1 import projects_pb2, projects_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.project_deletion import DeleteProject, UndeleteProject
    from registry_grpc.usecases.projects import CreateProject, GetProject, ListProjects, UpdateProject
    from registry_grpc.usecases.purge import PurgeProject
    from registry_grpc.usecases.quotas import GetProjectUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectVerbs:
    """The use cases of projects."""

    create: CreateProject
    get: GetProject
    list: ListProjects
    update: UpdateProject
    delete: DeleteProject
    undelete: UndeleteProject
    purge: PurgeProject
    usage: GetProjectUsage


def _require_quotas(changes: Mapping[str, Any]) -> None:
    """Quotas are set by who answers for the whole registry, not by who administers the project.

    Raises: PERMISSION_MISSING.
    """
    if "quotas" in changes:
        call_context().require("projects.setQuotas")


class ProjectServicer(projects_pb2_grpc.ProjectServiceServicer):
    """Projects."""

    def __init__(self, edge: Edge, pages: Pages, projects: ProjectVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._projects = projects

    async def CreateProject(self, request: projects_pb2.CreateProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName(request.project_id)
        fields = project_changes(request.project, fields_to_create(request.project))
        _require_quotas(fields)
        return await self._edge.mutate(request, lambda call: self._projects.create(call, name, fields), project_to_wire)

    async def GetProject(self, request: projects_pb2.GetProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName.parse(request.name)
        return project_to_wire(await self._edge.read(lambda: self._projects.get(name)))

    async def ListProjects(
        self, request: projects_pb2.ListProjectsRequest, context: Context
    ) -> projects_pb2.ListProjectsResponse:
        refuse_filter(request.filter)
        backwards = descending(request.order_by, "name")
        visible = call_context().rights.visible_projects()
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(
            lambda: self._projects.list(
                after=after, limit=page.limit, descending=backwards, show_deleted=request.show_deleted, only=visible
            )
        )
        projects, token = page.close(found, lambda project: (project.name.project,), project_to_wire)
        return projects_pb2.ListProjectsResponse(
            projects=projects,
            next_page_token=token,
        )

    async def UpdateProject(self, request: projects_pb2.UpdateProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName.parse(request.project.name, "project.name")
        changes = project_changes(request.project, fields_to_update(request.project, request.update_mask))
        _require_quotas(changes)
        return await self._edge.mutate(
            request,
            lambda call: self._projects.update(call, name, request.project.etag, changes),
            project_to_wire,
        )

    async def DeleteProject(self, request: projects_pb2.DeleteProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._projects.delete(call, name, request.etag, force=request.force),
            project_to_wire,
        )

    async def UndeleteProject(
        self, request: projects_pb2.UndeleteProjectRequest, context: Context
    ) -> projects_pb2.Project:
        name = ProjectName.parse(request.name)
        return await self._edge.mutate(
            request, lambda call: self._projects.undelete(call, name, request.etag), project_to_wire
        )

    async def PurgeProject(
        self, request: projects_pb2.PurgeProjectRequest, context: Context
    ) -> projects_pb2.PurgeProjectResponse:
        name = ProjectName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._projects.purge(call, name, request.etag),
            lambda _: projects_pb2.PurgeProjectResponse(),
        )

    async def GetProjectUsage(
        self, request: projects_pb2.GetProjectUsageRequest, context: Context
    ) -> projects_pb2.ProjectUsage:
        name = ProjectName.parse(request.name)
        account = await self._edge.read(lambda: self._projects.usage(name))
        return usage_to_wire(str(name), account)
