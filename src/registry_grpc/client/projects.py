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

PURGE_TIMEOUT_S = 60.0
"""Purging removes version after version. One that is cut short is ended by the server, or by a retry."""


class ProjectCalls(Session):
    """Create, read, change, delete and purge projects. Every method raises RegistryError."""

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
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> Iterable[projects_pb2.Project]:
        """The projects the caller may see, by id; fetched page by page."""

        def fetch(token: str) -> projects_pb2.ListProjectsResponse:
            request = projects_pb2.ListProjectsRequest(
                page_size=page_size, page_token=token, filter=filter, order_by=order_by, show_deleted=show_deleted
            )
            return self._connection.read(self._connection.stubs.projects.ListProjects, request)

        return Pages[projects_pb2.Project](fetch, "projects")

    def update_project(self, project: str | None = None, *, etag: str = "", **fields: Any) -> projects_pb2.Project:  # noqa: ANN401 -- checked by field
        """The changed project; `fields` are those of the message: stages, quotas, retention are replaced whole."""
        changed = message(projects_pb2.Project, fields, "project")
        changed.name = self.project_name(project)
        changed.etag = etag
        request = projects_pb2.UpdateProjectRequest(project=changed, update_mask=FieldMask(paths=sorted(fields)))
        return self._connection.write(self._connection.stubs.projects.UpdateProject, request)

    def delete_project(self, project: str, *, etag: str = "", force: bool = False) -> projects_pb2.Project:
        """The deleted project, which can be restored for a while; `force` also deletes its models."""
        request = projects_pb2.DeleteProjectRequest(name=self.project_name(project), etag=etag, force=force)
        return self._connection.write(self._connection.stubs.projects.DeleteProject, request)

    def undelete_project(self, project: str, *, etag: str = "") -> projects_pb2.Project:
        """The project as it was before it was deleted, with all that is in it."""
        request = projects_pb2.UndeleteProjectRequest(name=self.project_name(project), etag=etag)
        return self._connection.write(self._connection.stubs.projects.UndeleteProject, request)

    def purge_project(self, project: str, *, etag: str = "") -> None:
        """Remove a deleted project with everything in it for good. Its id is free then."""
        request = projects_pb2.PurgeProjectRequest(name=self.project_name(project), etag=etag)
        timeout_s = max(PURGE_TIMEOUT_S, self._connection.settings.timeout_s)
        self._connection.write(self._connection.stubs.projects.PurgeProject, request, timeout_s=timeout_s)

    def project_usage(self, project: str | None = None) -> projects_pb2.ProjectUsage:
        """What a project uses of its quotas; None means the one of this client."""
        request = projects_pb2.GetProjectUsageRequest(name=self.project_name(project))
        return self._connection.read(self._connection.stubs.projects.GetProjectUsage, request)
