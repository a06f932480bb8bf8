"""What each method needs. Deny by default: a server does not start while one of its methods has no row here.

Authorisation goes by this table and never by the text of a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PUBLIC = ""
"""Anyone may call it, without a token."""
_TABLE: dict[str, dict[str, str]] = {
    "registry_grpc.v1.ServerService": {"GetServerInfo": "server.get"},
    "registry_grpc.v1.ProjectService": {
        "CreateProject": "projects.create",
        "GetProject": "projects.get",
        "ListProjects": "projects.list",
        "UpdateProject": "projects.update",
    },
    "registry_grpc.v1.ModelService": {
        "CreateModel": "models.create",
        "GetModel": "models.get",
        "ListModels": "models.list",
        "UpdateModel": "models.update",
        "DeleteModel": "models.delete",
        "UndeleteModel": "models.undelete",
        "CreateVersion": "versions.create",
        "GetVersion": "versions.get",
        "BatchGetVersions": "versions.get",
        "ListVersions": "versions.list",
        "UpdateVersion": "versions.update",
        "FinalizeVersion": "versions.finalize",
        "DeleteVersion": "versions.delete",
        "UndeleteVersion": "versions.undelete",
        "ListAliases": "aliases.list",
        "UpdateAliases": "aliases.update",
    },
    "registry_grpc.v1.ArtifactService": {
        "FindMissingArtifacts": "artifacts.find",
        "AttachArtifacts": "artifacts.attach",
        "StartUpload": "uploads.create",
        "WriteUpload": "uploads.write",
        "GetUpload": "uploads.get",
        "ListUploads": "uploads.list",
        "CancelUpload": "uploads.cancel",
        "GetArtifact": "artifacts.get",
        "ListArtifacts": "artifacts.list",
        "ReadArtifact": "artifacts.read",
        "SignArtifactUrl": "artifacts.sign",
    },
    "registry_grpc.v1.StageService": {
        "Resolve": "stages.resolve",
        "BatchResolve": "stages.resolve",
        "GetStage": "stages.get",
        "ListStages": "stages.list",
        "ListStageHistory": "stages.history",
        "PromoteVersion": "stages.promote",
        "RollbackStage": "stages.rollback",
        "VacateStage": "stages.vacate",
    },
    "grpc.health.v1.Health": {"Check": PUBLIC, "List": PUBLIC, "Watch": PUBLIC},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": "server.reflect"},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": "server.reflect"},
}
PERMISSIONS: Mapping[str, str] = {
    f"/{service}/{method}": permission for service, methods in _TABLE.items() for method, permission in methods.items()
}
"""Full method path to the permission it needs."""


class MissingPermissionError(Exception):
    """A method is served that has no row in the table."""


def check_table(methods: Iterable[str], table: Mapping[str, str] = PERMISSIONS) -> None:
    """Refuse to serve `methods` (full paths) when one of them has no permission.

    Raises: MissingPermissionError naming each.
    """
    missing = sorted(set(methods) - set(table))
    if missing:
        raise MissingPermissionError(f"no permission is set in auth/permissions.py for: {', '.join(missing)}")
