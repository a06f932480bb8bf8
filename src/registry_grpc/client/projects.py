"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message
from registry_grpc.client.session import Session
from registry_grpc.v1 import projects_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ProjectCalls(Session):
    """Create, read and change projects. Every method raises RegistryError."""

    def create_project(
        self,
        project_id: str,
        *,
        display_name: str = "",
        description: str = "",
        tags: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        stages: Iterable[projects_pb2.StageDefinition | Mapping[str, Any]] = (),
    ) -> projects_pb2.Project:
        """The new project; without `stages` it gets development, staging, production, archived."""
        project = projects_pb2.Project(
            display_name=display_name,
            description=description,
            tags=tags,
            annotations=annotations,
            stages=[message(projects_pb2.StageDefinition, stage, "stages") for stage in stages],
        )
        request = projects_pb2.CreateProjectRequest(project_id=project_id, project=project)
        return self._connection.write(self._connection.stubs.projects.CreateProject, request)

    def get_project(self, project: str | None = None) -> projects_pb2.Project:
        """One project; None means the one of this client."""
        request = projects_pb2.GetProjectRequest(name=self.project_name(project))
        return self._connection.read(self._connection.stubs.projects.GetProject, request)

    def list_projects(
        self,
        *,
        filter: str = "",  # noqa: A002 -- the contract's word
        order_by: str = "",
        page_size: int = 0,
    ) -> Iterable[projects_pb2.Project]:
        """The projects the caller may see, by id; fetched page by page."""

        def fetch(token: str) -> projects_pb2.ListProjectsResponse:
            request = projects_pb2.ListProjectsRequest(
                page_size=page_size, page_token=token, filter=filter, order_by=order_by
            )
            return self._connection.read(self._connection.stubs.projects.ListProjects, request)

        return Pages[projects_pb2.Project](fetch, "projects")

    def update_project(self, project: str | None = None, *, etag: str = "", **fields: Any) -> projects_pb2.Project:  # noqa: ANN401 -- checked by field
        """The changed project; `fields` are those of the message, `stages` replaces the whole list."""
        changed = message(projects_pb2.Project, fields, "project")
        changed.name = self.project_name(project)
        changed.etag = etag
        request = projects_pb2.UpdateProjectRequest(project=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.projects.UpdateProject, request)
