"""ProjectService: decode, call, encode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.names import ProjectName
from registry_grpc.services.codec.projects import project_changes, project_to_wire
from registry_grpc.services.edge import descending, refuse_filter
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.v1 import projects_pb2, projects_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.projects import CreateProject, GetProject, ListProjects, UpdateProject


class ProjectServicer(projects_pb2_grpc.ProjectServiceServicer):
    """Projects."""

    def __init__(
        self,
        edge: Edge,
        pages: Pages,
        *,
        create: CreateProject,
        get: GetProject,
        list_projects: ListProjects,
        update: UpdateProject,
    ) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._create = create
        self._get = get
        self._list = list_projects
        self._update = update

    async def CreateProject(self, request: projects_pb2.CreateProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName(request.project_id)
        fields = project_changes(request.project, fields_to_create(request.project))
        return await self._edge.mutate(request, lambda call: self._create(call, name, fields), project_to_wire)

    async def GetProject(self, request: projects_pb2.GetProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName.parse(request.name)
        return project_to_wire(await self._edge.read(lambda: self._get(name)))

    async def ListProjects(
        self, request: projects_pb2.ListProjectsRequest, context: Context
    ) -> projects_pb2.ListProjectsResponse:
        refuse_filter(request.filter)
        backwards = descending(request.order_by, "name")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._list(after=after, limit=page.limit, descending=backwards))
        projects, token = page.close(found, lambda project: (project.name.project,))
        return projects_pb2.ListProjectsResponse(
            projects=[project_to_wire(project) for project in projects],
            next_page_token=token,
        )

    async def UpdateProject(self, request: projects_pb2.UpdateProjectRequest, context: Context) -> projects_pb2.Project:
        name = ProjectName.parse(request.project.name, "project.name")
        changes = project_changes(request.project, fields_to_update(request.project, request.update_mask))
        return await self._edge.mutate(
            request,
            lambda call: self._update(call, name, request.project.etag, changes),
            project_to_wire,
        )
