"""A request for every RPC of the contract, about things in one project. A new RPC without one fails the matrix."""

import importlib
import pkgutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory

import registry_grpc.v1 as contract
from tests.kit.signing import BROKEN_BUNDLE, PUBLIC_KEY

ARTIFACT = "a" * 26
DEPLOYMENT = "0" * 20
UPLOAD = str(uuid.UUID(int=7))
LINK = {
    "downstream": {"type": "LINEAGE_NODE_TYPE_DATASET_VERSION", "id": "b"},
    "upstream": {"type": "LINEAGE_NODE_TYPE_DATASET_VERSION", "id": "a"},
}


@dataclass(frozen=True)
class Method:
    """One RPC, as the descriptors say."""

    path: str
    request: Any
    """Class of its request."""
    response: Any
    client_streams: bool
    server_streams: bool


def methods() -> list[Method]:
    """Every RPC of every service of the contract."""
    found = {}
    for module in pkgutil.iter_modules(contract.__path__):
        if not module.name.endswith("_pb2"):
            continue
        file = importlib.import_module(f"registry_grpc.v1.{module.name}").DESCRIPTOR
        for service in file.services_by_name.values():
            for each in service.methods:
                path = f"/{service.full_name}/{each.name}"
                found[path] = Method(
                    path,
                    message_factory.GetMessageClass(each.input_type),
                    message_factory.GetMessageClass(each.output_type),
                    each.client_streaming,
                    each.server_streaming,
                )
    return [found[path] for path in sorted(found)]


@dataclass(frozen=True)
class Place:
    """A project, and what may be in it."""

    project: str
    """Its id."""
    token: str = "tokens/" + "0" * 12
    """Of an account of it."""

    @property
    def name(self) -> str:
        return f"projects/{self.project}"

    @property
    def model(self) -> str:
        return f"{self.name}/models/m"

    @property
    def version(self) -> str:
        return f"{self.model}/versions/1"

    @property
    def webhook(self) -> str:
        return f"{self.name}/webhooks/w"

    @property
    def request(self) -> str:
        return f"{self.model}/promotionRequests/1"

    @property
    def signer(self) -> str:
        return f"{self.name}/trustedSigners/s"

    @property
    def account(self) -> str:
        return f"serviceAccount:{self.project}/there"


DRY = {"validate_only": True}
"""Nothing the matrix does may change what the next call of it meets."""
_NEW = "never-made"
EXAMPLES: dict[str, Callable[[Place], dict[str, Any]]] = {
    "AccessService.GetCaller": lambda _: {},
    "AccessService.TestPermissions": lambda at: {"resource": at.name, "permissions": ["models.get"]},
    "AccessService.CreateRole": lambda _: {"role_id": _NEW, "role": {"permissions": ["models.get"]}} | DRY,
    "AccessService.GetRole": lambda _: {"name": "roles/viewer"},
    "AccessService.ListRoles": lambda _: {},
    "AccessService.UpdateRole": lambda _: {"role": {"name": f"roles/{_NEW}", "description": "x"}} | DRY,
    "AccessService.DeleteRole": lambda _: {"name": f"roles/{_NEW}"} | DRY,
    "AccessService.CreateRoleBinding": lambda at: (
        {"parent": at.name, "role_binding": {"role": "roles/viewer", "members": ["user:eve"]}} | DRY
    ),
    "AccessService.GetRoleBinding": lambda at: {"name": f"{at.name}/roleBindings/b"},
    "AccessService.ListRoleBindings": lambda at: {"parent": at.name},
    "AccessService.UpdateRoleBinding": lambda at: (
        {"role_binding": {"name": f"{at.name}/roleBindings/b", "description": "x"}} | DRY
    ),
    "AccessService.DeleteRoleBinding": lambda at: {"name": f"{at.name}/roleBindings/b"} | DRY,
    "AccessService.CreateServiceAccount": lambda at: {"parent": at.name, "service_account_id": _NEW} | DRY,
    "AccessService.GetServiceAccount": lambda at: {"name": f"{at.name}/serviceAccounts/there"},
    "AccessService.ListServiceAccounts": lambda at: {"parent": at.name},
    "AccessService.UpdateServiceAccount": lambda at: (
        {"service_account": {"name": f"{at.name}/serviceAccounts/there", "description": "x"}} | DRY
    ),
    "AccessService.DeleteServiceAccount": lambda at: {"name": f"{at.name}/serviceAccounts/there"} | DRY,
    "AccessService.IssueToken": lambda at: {"principal": at.account} | DRY,
    "AccessService.ListTokens": lambda at: {"principal": at.account},
    "AccessService.RevokeToken": lambda at: {"name": at.token} | DRY,
    "ServerService.GetServerInfo": lambda _: {},
    "ServerService.CollectGarbage": lambda _: {},
    "ProjectService.CreateProject": lambda _: {"project_id": _NEW} | DRY,
    "ProjectService.GetProject": lambda at: {"name": at.name},
    "ProjectService.ListProjects": lambda _: {},
    "ProjectService.UpdateProject": lambda at: {"project": {"name": at.name, "description": "x"}} | DRY,
    "ProjectService.DeleteProject": lambda at: {"name": at.name} | DRY,
    "ProjectService.UndeleteProject": lambda at: {"name": at.name} | DRY,
    "ProjectService.PurgeProject": lambda at: {"name": at.name} | DRY,
    "ProjectService.GetProjectUsage": lambda at: {"name": at.name},
    "ModelService.CreateModel": lambda at: {"parent": at.name, "model_id": _NEW} | DRY,
    "ModelService.GetModel": lambda at: {"name": at.model},
    "ModelService.ListModels": lambda at: {"parent": at.name},
    "ModelService.UpdateModel": lambda at: {"model": {"name": at.model, "description": "x"}} | DRY,
    "ModelService.DeleteModel": lambda at: {"name": at.model} | DRY,
    "ModelService.UndeleteModel": lambda at: {"name": at.model} | DRY,
    "ModelService.PurgeModel": lambda at: {"name": at.model} | DRY,
    "ModelService.PurgeVersion": lambda at: {"name": at.version} | DRY,
    "ModelService.CopyVersion": lambda at: {"parent": at.model, "source": at.version} | DRY,
    "ModelService.CreateVersion": lambda at: {"parent": at.model} | DRY,
    "ModelService.GetVersion": lambda at: {"name": at.version},
    "ModelService.BatchGetVersions": lambda at: {"parent": at.name, "names": [at.version]},
    "ModelService.ListVersions": lambda at: {"parent": at.model},
    "ModelService.UpdateVersion": lambda at: {"version": {"name": at.version, "description": "x"}} | DRY,
    "ModelService.FinalizeVersion": lambda at: {"name": at.version} | DRY,
    "ModelService.DeleteVersion": lambda at: {"name": at.version} | DRY,
    "ModelService.UndeleteVersion": lambda at: {"name": at.version} | DRY,
    "ModelService.ListAliases": lambda at: {"parent": at.model},
    "ModelService.UpdateAliases": lambda at: {"parent": at.model, "set": {"champion": 1}} | DRY,
    "ArtifactService.FindMissingArtifacts": lambda at: {
        "parent": at.name,
        "digests": [{"sha256": "b" * 64, "size_bytes": 1}],
    },
    "ArtifactService.AttachArtifacts": lambda at: (
        {"parent": at.version, "attachments": [{"path": "f", "digest": {"sha256": "b" * 64, "size_bytes": 1}}]} | DRY
    ),
    "ArtifactService.StartUpload": lambda at: {"parent": at.version, "path": "f", "size_bytes": 1} | DRY,
    "ArtifactService.WriteUpload": lambda at: {"name": f"{at.name}/uploads/{UPLOAD}"},
    "ArtifactService.GetUpload": lambda at: {"name": f"{at.name}/uploads/{UPLOAD}"},
    "ArtifactService.ListUploads": lambda at: {"parent": at.version},
    "ArtifactService.CancelUpload": lambda at: {"name": f"{at.name}/uploads/{UPLOAD}"},
    "ArtifactService.GetArtifact": lambda at: {"name": f"{at.version}/artifacts/{ARTIFACT}"},
    "ArtifactService.ListArtifacts": lambda at: {"parent": at.version},
    "ArtifactService.ReadArtifact": lambda at: {"name": f"{at.version}/artifacts/{ARTIFACT}"},
    "ArtifactService.SignArtifactUrl": lambda at: {"name": f"{at.version}/artifacts/{ARTIFACT}"},
    "WebhookService.CreateWebhook": lambda at: (
        {"parent": at.name, "webhook_id": _NEW, "webhook": {"url": "https://8.8.8.8/"}} | DRY
    ),
    "WebhookService.GetWebhook": lambda at: {"name": at.webhook},
    "WebhookService.ListWebhooks": lambda at: {"parent": at.name},
    "WebhookService.UpdateWebhook": lambda at: {"webhook": {"name": at.webhook, "display_name": "x"}} | DRY,
    "WebhookService.DeleteWebhook": lambda at: {"name": at.webhook} | DRY,
    "WebhookService.RotateWebhookSecret": lambda at: {"name": at.webhook} | DRY,
    "WebhookService.TestWebhook": lambda at: {"name": at.webhook},
    "WebhookService.ListDeliveries": lambda at: {"parent": at.webhook},
    "WebhookService.RedeliverDeliveries": lambda at: {"parent": at.webhook, "all_dead": True} | DRY,
    "ModelService.DeprecateVersion": lambda at: {"name": at.version, "reason": "x"} | DRY,
    "ModelService.YankVersion": lambda at: {"name": at.version, "reason": "x"} | DRY,
    "ModelService.ReinstateVersion": lambda at: {"name": at.version} | DRY,
    "StageService.EvaluatePromotion": lambda at: {"name": at.version, "stage": "staging"},
    "StageService.FreezeStage": lambda at: {"name": f"{at.model}/stages/staging", "justification": "x"} | DRY,
    "StageService.UnfreezeStage": lambda at: {"name": f"{at.model}/stages/staging"} | DRY,
    "GovernanceService.CreatePolicy": lambda at: (
        {
            "parent": at.name,
            "policy_id": _NEW,
            "policy": {"stages": ["staging"], "rules": [{"id": "people", "approvals": {"count": 1}}]},
        }
        | DRY
    ),
    "GovernanceService.GetPolicy": lambda at: {"name": f"{at.name}/policies/p"},
    "GovernanceService.ListPolicies": lambda at: {"parent": at.name},
    "GovernanceService.UpdatePolicy": lambda at: (
        {"policy": {"name": f"{at.name}/policies/p", "description": "x"}} | DRY
    ),
    "GovernanceService.DeletePolicy": lambda at: {"name": f"{at.name}/policies/p"} | DRY,
    "GovernanceService.ListPolicyVersions": lambda at: {"name": f"{at.name}/policies/p"},
    "GovernanceService.CreatePromotionRequest": lambda at: (
        {"parent": at.model, "promotion_request": {"version": at.version, "stage": "staging"}} | DRY
    ),
    "GovernanceService.GetPromotionRequest": lambda at: {"name": at.request},
    "GovernanceService.ListPromotionRequests": lambda at: {"parent": at.model},
    "GovernanceService.ApprovePromotion": lambda at: {"name": at.request} | DRY,
    "GovernanceService.RejectPromotion": lambda at: {"name": at.request} | DRY,
    "GovernanceService.WithdrawPromotion": lambda at: {"name": at.request} | DRY,
    "GovernanceService.CommentPromotion": lambda at: {"name": at.request, "comment": "x"} | DRY,
    "GovernanceService.CommitPromotion": lambda at: {"name": at.request} | DRY,
    "EvidenceService.CreateTrustedSigner": lambda at: (
        {"parent": at.name, "trusted_signer_id": _NEW, "trusted_signer": {"public_key": PUBLIC_KEY}} | DRY
    ),
    "EvidenceService.GetTrustedSigner": lambda at: {"name": at.signer},
    "EvidenceService.ListTrustedSigners": lambda at: {"parent": at.name},
    "EvidenceService.DeleteTrustedSigner": lambda at: {"name": at.signer} | DRY,
    "EvidenceService.AddSignature": lambda at: {"parent": at.version, "bundle": BROKEN_BUNDLE} | DRY,
    "EvidenceService.GetSignature": lambda at: {"name": f"{at.version}/signatures/{UPLOAD}"},
    "EvidenceService.ListSignatures": lambda at: {"parent": at.version},
    "EvidenceService.AddEvidence": lambda at: (
        {
            "parent": at.version,
            "evidence": {"kind": "EVIDENCE_KIND_TEST", "tool": "t", "outcome": "EVIDENCE_OUTCOME_PASSED"},
        }
        | DRY
    ),
    "EvidenceService.GetEvidence": lambda at: {"name": f"{at.version}/evidence/{UPLOAD}"},
    "EvidenceService.ListEvidence": lambda at: {"parent": at.version},
    "LineageService.RecordRun": lambda at: {"parent": at.name, "run_id": "r", "run": {"system": "s"}} | DRY,
    "LineageService.GetRun": lambda at: {"name": f"{at.name}/runs/r"},
    "LineageService.ListRuns": lambda at: {"parent": at.name},
    "LineageService.DeleteRun": lambda at: {"name": f"{at.name}/runs/r"} | DRY,
    "LineageService.LinkLineage": lambda at: {"parent": at.name, "links": [LINK]} | DRY,
    "LineageService.UnlinkLineage": lambda at: {"parent": at.name, "links": [LINK]} | DRY,
    "LineageService.GetLineage": lambda at: {
        "parent": at.name,
        "node": {"type": "LINEAGE_NODE_TYPE_MODEL_VERSION", "id": at.version},
        "direction": "LINEAGE_DIRECTION_UPSTREAM",
    },
    "CatalogueService.SearchModels": lambda at: {"parent": at.name},
    "CatalogueService.SearchVersions": lambda at: {"parent": at.name},
    "CatalogueService.SelectBest": lambda at: {"parent": at.name, "objective": {"metric": "auc"}},
    "CatalogueService.CompareVersions": lambda at: {"parent": at.name, "names": [at.version, at.version]},
    "CatalogueService.ExportBillOfMaterials": lambda at: {"name": at.version},
    "AuditService.ListAuditEntries": lambda at: {"parent": at.name},
    "AuditService.ExportAuditEntries": lambda _: {},
    "AuditService.GetCheckpoint": lambda _: {"max_size": 1},
    "AuditService.ListCheckpoints": lambda _: {},
    "AuditService.GetInclusionProof": lambda _: {"index": 0},
    "AuditService.GetConsistencyProof": lambda _: {"first_size": 1},
    "AuditService.GetAuditKey": lambda _: {},
    "EventService.Watch": lambda at: {"parent": at.model, "send_initial_state": True},
    "EventService.ListEvents": lambda at: {"parent": at.model},
    "DeploymentService.ReportDeployment": lambda at: (
        {
            "parent": at.name,
            "deployment": {
                "version": at.version,
                "environment": "e",
                "workload": "w",
                "state": "DEPLOYMENT_STATE_SERVING",
            },
        }
        | DRY
    ),
    "DeploymentService.HeartbeatDeployments": lambda at: {
        "parent": at.name,
        "names": [f"{at.name}/deployments/{DEPLOYMENT}"],
    },
    "DeploymentService.RetireDeployment": lambda at: {"name": f"{at.name}/deployments/{DEPLOYMENT}"} | DRY,
    "DeploymentService.GetDeployment": lambda at: {"name": f"{at.name}/deployments/{DEPLOYMENT}"},
    "DeploymentService.ListDeployments": lambda at: {"parent": at.name},
    "DeploymentService.ListDeploymentRuns": lambda at: {"parent": at.name},
    "DeploymentService.GetDrift": lambda at: {"parent": at.name},
    "DeploymentService.ListConsumers": lambda at: {"parent": at.model},
    "StageService.Resolve": lambda at: {"name": at.model, "stage": "production"},
    "StageService.BatchResolve": lambda at: {
        "parent": at.name,
        "requests": [{"name": at.model, "stage": "production"}],
    },
    "StageService.GetStage": lambda at: {"name": f"{at.model}/stages/production"},
    "StageService.ListStages": lambda at: {"parent": at.model},
    "StageService.ListStageHistory": lambda at: {"parent": at.model},
    "StageService.PromoteVersion": lambda at: {"name": at.version, "stage": "staging"} | DRY,
    "StageService.RollbackStage": lambda at: {"name": f"{at.model}/stages/production"} | DRY,
    "StageService.VacateStage": lambda at: {"name": f"{at.model}/stages/production"} | DRY,
}
"""`Service.Method` to the fields of its request."""


def example(method: Method, at: Place) -> Any:
    """The request of `method` about `at`; the test fails when nobody wrote one down."""
    service, _, name = method.path.rpartition("/")
    key = f"{service.rpartition('.')[2]}.{name}"
    assert key in EXAMPLES, f"write an example request for {key} into tests/promises/access/requests.py"
    return method.request(**EXAMPLES[key](at))


def make(channel: Any, method: Method, request: Any) -> Any:
    """Make the call; returns the first answer, or raises."""
    serialize, read = method.request.SerializeToString, method.response.FromString
    if method.client_streams:
        return channel.stream_unary(method.path, serialize, read)(iter([request]), timeout=20)
    if method.server_streams:
        stream = channel.unary_stream(method.path, serialize, read)(request, timeout=20)
        first = next(stream)
        # A watch would go on for ever.
        stream.cancel()
        return first
    return channel.unary_unary(method.path, serialize, read)(request, timeout=20)
