"""Every RPC that takes a request_id, with a request that will succeed and another body for the same id."""

import hashlib
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from registry_grpc.v1 import (
    access_pb2,
    artifacts_pb2,
    audit_pb2,
    catalogue_pb2,
    common_pb2,
    deployments_pb2,
    events_pb2,
    evidence_pb2,
    governance_pb2,
    lineage_pb2,
    models_pb2,
    projects_pb2,
    server_pb2,
    stages_pb2,
    versions_pb2,
    webhooks_pb2,
)
from tests.kit.catalogue import Catalogue, new_id
from tests.promises.writes.access_mutations import ACCESS_CASES, ACCESS_READS
from tests.promises.writes.deployment_mutations import DEPLOYMENT_CASES, DEPLOYMENT_READS
from tests.promises.writes.evidence_mutations import EVIDENCE_CASES, EVIDENCE_READS
from tests.promises.writes.governance_mutations import GOVERNANCE_CASES, GOVERNANCE_READS
from tests.promises.writes.lineage_mutations import LINEAGE_CASES, LINEAGE_READS
from tests.promises.writes.tenant_mutations import TENANT_CASES
from tests.promises.writes.webhook_mutations import WEBHOOK_CASES, WEBHOOK_READS

BYTES = b"bytes the project holds"


def every_method() -> dict[str, MethodDescriptor]:
    """The methods of the contract by their full name."""
    files = (
        *(access_pb2, artifacts_pb2, audit_pb2, catalogue_pb2, deployments_pb2, events_pb2, evidence_pb2, models_pb2),
        lineage_pb2,
        *(governance_pb2, projects_pb2, server_pb2, stages_pb2, webhooks_pb2),
    )
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    return {f"{service.name}.{method.name}": method for service in services for method in service.methods}


def create_project(_: Catalogue) -> Any:
    return projects_pb2.CreateProjectRequest(project_id=new_id("p")), {"project_id": new_id("p")}


def update_project(catalogue: Catalogue) -> Any:
    project = projects_pb2.Project(name=catalogue.parent, description="new")
    other = projects_pb2.Project(name=catalogue.parent, description="other")
    return projects_pb2.UpdateProjectRequest(project=project), {"project": other}


def create_model(catalogue: Catalogue) -> Any:
    return models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="one"), {"model_id": "other"}


def update_model(catalogue: Catalogue) -> Any:
    name = catalogue.model()
    request = models_pb2.UpdateModelRequest(model=models_pb2.Model(name=name, owner="new"))
    return request, {"model": models_pb2.Model(name=name, owner="other")}


def delete_model(catalogue: Catalogue) -> Any:
    return models_pb2.DeleteModelRequest(name=catalogue.model()), {"name": catalogue.model()}


def undelete_model(catalogue: Catalogue) -> Any:
    gone = catalogue.model()
    catalogue.delete_model(gone)
    return models_pb2.UndeleteModelRequest(name=gone), {"name": catalogue.model()}


def update_aliases(catalogue: Catalogue) -> Any:
    model = catalogue.model()
    catalogue.readies(model, 2)
    return models_pb2.UpdateAliasesRequest(parent=model, set={"champion": 1}), {"set": {"champion": 2}}


def create_version(catalogue: Catalogue) -> Any:
    request = versions_pb2.CreateVersionRequest(parent=catalogue.model())
    return request, {"version": versions_pb2.ModelVersion(owner="other")}


def update_version(catalogue: Catalogue) -> Any:
    name = catalogue.draft(catalogue.model()).name
    request = versions_pb2.UpdateVersionRequest(version=versions_pb2.ModelVersion(name=name, owner="new"))
    return request, {"version": versions_pb2.ModelVersion(name=name, owner="other")}


def finalize_version(catalogue: Catalogue) -> Any:
    draft = catalogue.draft(catalogue.model())
    catalogue.upload(draft.name, "w", BYTES)
    return versions_pb2.FinalizeVersionRequest(name=draft.name), {"etag": "other"}


def delete_version(catalogue: Catalogue) -> Any:
    return versions_pb2.DeleteVersionRequest(name=catalogue.draft(catalogue.model()).name), {"etag": "other"}


def undelete_version(catalogue: Catalogue) -> Any:
    gone = catalogue.draft(catalogue.model())
    catalogue.delete(gone.name)
    return versions_pb2.UndeleteVersionRequest(name=gone.name), {"etag": "other"}


def promote_version(catalogue: Catalogue) -> Any:
    version = catalogue.ready(catalogue.model())
    return stages_pb2.PromoteVersionRequest(name=version.name, stage="staging"), {"etag": "other"}


def _served(catalogue: Catalogue) -> str:
    model = catalogue.model()
    for version in catalogue.readies(model, 2):
        catalogue.bring(version.name, "production")
    return f"{model}/stages/production"


def rollback_stage(catalogue: Catalogue) -> Any:
    return stages_pb2.RollbackStageRequest(name=_served(catalogue)), {"etag": "other"}


def vacate_stage(catalogue: Catalogue) -> Any:
    return stages_pb2.VacateStageRequest(name=_served(catalogue)), {"etag": "other"}


def start_upload(catalogue: Catalogue) -> Any:
    draft = catalogue.draft(catalogue.model())
    return artifacts_pb2.StartUploadRequest(parent=draft.name, path="w", size_bytes=9), {"size_bytes": 10}


def attach_artifacts(catalogue: Catalogue) -> Any:
    catalogue.ready(catalogue.model(), BYTES)
    digest = common_pb2.Digest(sha256=hashlib.sha256(BYTES).hexdigest(), size_bytes=len(BYTES))
    draft = catalogue.draft(catalogue.model())
    request, other = (
        artifacts_pb2.AttachArtifactsRequest(
            parent=draft.name, attachments=[artifacts_pb2.ArtifactAttachment(path=path, digest=digest)]
        )
        for path in ("w", "other")
    )
    return request, {"attachments": other.attachments}


CASES: dict[str, Callable[[Catalogue], Any]] = (
    ACCESS_CASES
    | DEPLOYMENT_CASES
    | EVIDENCE_CASES
    | LINEAGE_CASES
    | GOVERNANCE_CASES
    | TENANT_CASES
    | WEBHOOK_CASES
    | {
        "ProjectService.CreateProject": create_project,
        "ProjectService.UpdateProject": update_project,
        "ModelService.CreateModel": create_model,
        "ModelService.UpdateModel": update_model,
        "ModelService.DeleteModel": delete_model,
        "ModelService.UndeleteModel": undelete_model,
        "ModelService.UpdateAliases": update_aliases,
        "ModelService.CreateVersion": create_version,
        "ModelService.UpdateVersion": update_version,
        "ModelService.FinalizeVersion": finalize_version,
        "ModelService.DeleteVersion": delete_version,
        "ModelService.UndeleteVersion": undelete_version,
        "StageService.PromoteVersion": promote_version,
        "StageService.RollbackStage": rollback_stage,
        "StageService.VacateStage": vacate_stage,
        "ArtifactService.StartUpload": start_upload,
        "ArtifactService.AttachArtifacts": attach_artifacts,
    }
)
WITHOUT_REQUEST_ID = {
    # An upload is its own id: an offset and a digest say what was done. Cancelling again cancels nothing more.
    "ArtifactService.WriteUpload",
    "ArtifactService.CancelUpload",
    # What is gone is gone: another run removes what is left.
    "ServerService.CollectGarbage",
    # Heard twice is heard.
    "DeploymentService.HeartbeatDeployments",
}
READS = (
    ACCESS_READS
    | DEPLOYMENT_READS
    | EVIDENCE_READS
    | LINEAGE_READS
    | GOVERNANCE_READS
    | WEBHOOK_READS
    | {
        "ArtifactService.FindMissingArtifacts",
        "ArtifactService.GetArtifact",
        "ArtifactService.GetUpload",
        "ArtifactService.ListArtifacts",
        "ArtifactService.ListUploads",
        "ArtifactService.ReadArtifact",
        "ArtifactService.SignArtifactUrl",
        "AuditService.ExportAuditEntries",
        "AuditService.GetAuditKey",
        "AuditService.GetCheckpoint",
        "AuditService.GetConsistencyProof",
        "AuditService.GetInclusionProof",
        "AuditService.ListAuditEntries",
        "AuditService.ListCheckpoints",
        "CatalogueService.CompareVersions",
        "CatalogueService.ExportBillOfMaterials",
        "CatalogueService.SearchModels",
        "CatalogueService.SearchVersions",
        "CatalogueService.SelectBest",
        "EventService.ListEvents",
        "EventService.Watch",
        "ModelService.BatchGetVersions",
        "ModelService.GetModel",
        "ModelService.GetVersion",
        "ModelService.ListAliases",
        "ModelService.ListModels",
        "ModelService.ListVersions",
        "ProjectService.GetProject",
        "ProjectService.GetProjectUsage",
        "ProjectService.ListProjects",
        "ServerService.GetServerInfo",
        "StageService.BatchResolve",
        "StageService.GetStage",
        "StageService.ListStageHistory",
        "StageService.ListStages",
        "StageService.Resolve",
    }
)
