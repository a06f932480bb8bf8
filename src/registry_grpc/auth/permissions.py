"""What each method needs, and where in its request the resource stands.

Deny by default: a server does not start while one of its methods has no row here, or one that does not fit its request.

Authorisation goes by this table and never by the text of a path. A row has one need or several, each of them required:

- `models.get on name`: the permission on the resource that the field names; empty names the registry
- `models.list within parent`: on that project, or on some model in it; the servicer narrows the answer
- `tokens.create for principal`: on the scope of the principal the field names; with `or own` nothing for oneself
- `projects.create on registry`, `roles.get anywhere`: without a field
- `server.get of caller`: nothing but a proven identity; what else there is to check takes the database
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

PUBLIC = ""
"""Anyone may call it, without a token."""
_TABLE: dict[str, dict[str, str]] = {
    "registry_grpc.v1.ServerService": {
        "GetServerInfo": "server.get of caller",
        "CollectGarbage": "garbage.collect on registry",
    },
    "registry_grpc.v1.AccessService": {
        "GetCaller": "caller.get of caller",
        "TestPermissions": "caller.test of caller",
        "CreateRole": "roles.create on registry",
        "GetRole": "roles.get anywhere",
        "ListRoles": "roles.list anywhere",
        "UpdateRole": "roles.update on registry",
        "DeleteRole": "roles.delete on registry",
        "CreateRoleBinding": "roleBindings.create on parent",
        "GetRoleBinding": "roleBindings.get on name",
        "ListRoleBindings": "roleBindings.list on parent",
        "UpdateRoleBinding": "roleBindings.update on role_binding.name",
        "DeleteRoleBinding": "roleBindings.delete on name",
        "CreateServiceAccount": "serviceAccounts.create on parent",
        "GetServiceAccount": "serviceAccounts.get on name",
        "ListServiceAccounts": "serviceAccounts.list on parent",
        "UpdateServiceAccount": "serviceAccounts.update on service_account.name",
        "DeleteServiceAccount": "serviceAccounts.delete on name",
        "IssueToken": "tokens.create for principal",
        "ListTokens": "tokens.list for principal or own",
        "RevokeToken": "tokens.revoke of caller",
    },
    "registry_grpc.v1.ProjectService": {
        "CreateProject": "projects.create on registry",
        "GetProject": "projects.get on name",
        "ListProjects": "projects.list of caller",
        "UpdateProject": "projects.update on project.name",
        "DeleteProject": "projects.delete on name",
        "UndeleteProject": "projects.undelete on name",
        "PurgeProject": "projects.purge on name",
        "GetProjectUsage": "projects.get on name",
    },
    "registry_grpc.v1.ModelService": {
        "CreateModel": "models.create on parent",
        "GetModel": "models.get on name",
        "ListModels": "models.list within parent",
        "UpdateModel": "models.update on model.name",
        "DeleteModel": "models.delete on name",
        "UndeleteModel": "models.undelete on name",
        "PurgeModel": "models.purge on name",
        "PurgeVersion": "versions.purge on name",
        "CopyVersion": "versions.create on parent, versions.get on source, artifacts.read on source",
        "CreateVersion": "versions.create on parent",
        "GetVersion": "versions.get on name",
        "BatchGetVersions": "versions.get within parent, versions.get on names[]",
        "ListVersions": "versions.list on parent",
        "UpdateVersion": "versions.update on version.name",
        "FinalizeVersion": "versions.finalize on name",
        "DeleteVersion": "versions.delete on name",
        "UndeleteVersion": "versions.undelete on name",
        "DeprecateVersion": "versions.deprecate on name",
        "YankVersion": "versions.yank on name",
        "ReinstateVersion": "versions.reinstate on name",
        "ListAliases": "aliases.list on parent",
        "UpdateAliases": "aliases.update on parent",
    },
    "registry_grpc.v1.ArtifactService": {
        "FindMissingArtifacts": "artifacts.find within parent",
        "AttachArtifacts": "artifacts.attach on parent",
        "StartUpload": "uploads.create on parent",
        "WriteUpload": "uploads.write within name",
        "GetUpload": "uploads.get within name",
        "ListUploads": "uploads.list on parent",
        "CancelUpload": "uploads.cancel within name",
        "GetArtifact": "artifacts.get on name",
        "ListArtifacts": "artifacts.list on parent",
        "ReadArtifact": "artifacts.read on name",
        "SignArtifactUrl": "artifacts.sign on name",
    },
    "registry_grpc.v1.EventService": {
        "Watch": "events.watch within parent",
        "ListEvents": "events.watch within parent",
    },
    "registry_grpc.v1.StageService": {
        "Resolve": "stages.resolve on name",
        "BatchResolve": "stages.resolve within parent, stages.resolve on requests[].name",
        "GetStage": "stages.get on name",
        "ListStages": "stages.list on parent",
        "ListStageHistory": "stages.history on parent",
        "PromoteVersion": "stages.promote on name",
        "RollbackStage": "stages.rollback on name",
        "VacateStage": "stages.vacate on name",
        "EvaluatePromotion": "stages.evaluate on name",
        "FreezeStage": "stages.freeze on name",
        "UnfreezeStage": "stages.freeze on name",
    },
    "registry_grpc.v1.DeploymentService": {
        "ReportDeployment": "deployments.report on deployment.version, deployments.report within parent",
        "HeartbeatDeployments": "deployments.report within parent",
        "RetireDeployment": "deployments.retire within name",
        "GetDeployment": "deployments.get within name",
        "ListDeployments": "deployments.list within parent",
        "ListDeploymentRuns": "deployments.list within parent",
        "GetDrift": "deployments.list within parent",
        "ListConsumers": "consumers.list on parent",
    },
    "registry_grpc.v1.WebhookService": {
        "CreateWebhook": "webhooks.create on parent",
        "GetWebhook": "webhooks.get on name",
        "ListWebhooks": "webhooks.list on parent",
        "UpdateWebhook": "webhooks.update on webhook.name",
        "DeleteWebhook": "webhooks.delete on name",
        "RotateWebhookSecret": "webhooks.rotate on name",
        "TestWebhook": "webhooks.test on name",
        "ListDeliveries": "webhooks.get on parent",
        "RedeliverDeliveries": "webhooks.redeliver on parent",
    },
    "registry_grpc.v1.CatalogueService": {
        "SearchModels": "models.list within parent",
        "SearchVersions": "versions.list within parent",
        "CompareVersions": "versions.get within parent, versions.get on names[]",
        "SelectBest": "versions.list within parent",
        "ExportBillOfMaterials": "versions.get on name",
    },
    "registry_grpc.v1.LineageService": {
        "RecordRun": "runs.record on parent",
        "GetRun": "runs.get on name",
        "ListRuns": "runs.list on parent",
        "DeleteRun": "runs.delete on name",
        "LinkLineage": "lineage.link on parent",
        "UnlinkLineage": "lineage.link on parent",
        "GetLineage": "lineage.get within parent",
    },
    "registry_grpc.v1.GovernanceService": {
        "CreatePolicy": "policies.create on parent",
        "GetPolicy": "policies.get on name",
        "ListPolicies": "policies.list on parent",
        "UpdatePolicy": "policies.update on policy.name",
        "DeletePolicy": "policies.delete on name",
        "ListPolicyVersions": "policies.get on name",
        "CreatePromotionRequest": "promotionRequests.create on parent",
        "GetPromotionRequest": "promotionRequests.get on name",
        "ListPromotionRequests": "promotionRequests.list within parent",
        "ApprovePromotion": "promotionRequests.approve on name",
        "RejectPromotion": "promotionRequests.approve on name",
        "WithdrawPromotion": "promotionRequests.create on name",
        "CommentPromotion": "promotionRequests.comment on name",
        "CommitPromotion": "stages.promote on name",
    },
    "registry_grpc.v1.EvidenceService": {
        "CreateTrustedSigner": "trustedSigners.create on parent",
        "GetTrustedSigner": "trustedSigners.get on name",
        "ListTrustedSigners": "trustedSigners.list on parent",
        "DeleteTrustedSigner": "trustedSigners.delete on name",
        "AddSignature": "signatures.add on parent",
        "GetSignature": "signatures.get on name",
        "ListSignatures": "signatures.list on parent",
        "AddEvidence": "evidence.add on parent",
        "GetEvidence": "evidence.get on name",
        "ListEvidence": "evidence.list on parent",
    },
    "registry_grpc.v1.AuditService": {
        "ListAuditEntries": "audit.list on parent",
        "ExportAuditEntries": "audit.export on registry",
        "GetCheckpoint": "audit.prove on registry",
        "ListCheckpoints": "audit.prove on registry",
        "GetInclusionProof": "audit.prove on registry",
        "GetConsistencyProof": "audit.prove on registry",
        "GetAuditKey": "audit.key of caller",
    },
    "grpc.health.v1.Health": {"Check": PUBLIC, "List": PUBLIC, "Watch": PUBLIC},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": "server.reflect of caller"},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": "server.reflect of caller"},
}
_READS = frozenset(
    {
        *("get", "list", "resolve", "evaluate", "history", "read", "sign", "find", "reflect", "test", "watch"),
        *("export", "prove", "key"),
    }
)


class Where(StrEnum):
    """What a need is about."""

    RESOURCE = "on"
    WITHIN = "within"
    PRINCIPAL = "for"
    OWN = "for or own"
    """As PRINCIPAL, and nothing when it is the caller."""
    REGISTRY = "on registry"
    ANYWHERE = "anywhere"
    CALLER = "of caller"


@dataclass(frozen=True, slots=True)
class Need:
    """A permission, and where it must be held."""

    permission: str
    where: Where
    path: str = ""
    """Field of the request, `role_binding.name` or `names[]`."""

    @classmethod
    def parse(cls, text: str) -> Need:
        """Raises: ValueError."""
        permission, _, rest = text.partition(" ")
        if rest in {Where.REGISTRY, Where.ANYWHERE, Where.CALLER}:
            return cls(permission, Where(rest))
        word, _, path = rest.partition(" ")
        if path.endswith(" or own"):
            word, path = f"{word} or own", path.removesuffix(" or own")
        if not path or " " in path:
            raise ValueError(f"{text!r} is no need")
        return cls(permission, Where(word), path)


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table."""

    needs: tuple[Need, ...] = ()
    """The first one is what the call is about; none for a public method."""

    @property
    def public(self) -> bool:
        """Whether nobody is asked who they are."""
        return not self.needs

    @property
    def mutates(self) -> bool:
        """Whether a refusal belongs in the audit trail."""
        return any(need.permission.partition(".")[2] not in _READS for need in self.needs)


RULES: Mapping[str, Rule] = {
    f"/{service}/{method}": Rule(tuple(Need.parse(need) for need in text.split(", ") if need))
    for service, methods in _TABLE.items()
    for method, text in methods.items()
}
"""Full method path to what it needs."""
PERMISSIONS: Mapping[str, str] = {
    path: rule.needs[0].permission if rule.needs else PUBLIC for path, rule in RULES.items()
}
"""Full method path to the permission it is about."""


class MissingPermissionError(Exception):
    """A method is served that has no row in the table, or one that does not fit its request."""


def check_table(methods: Iterable[str], table: Mapping[str, object] = RULES) -> None:
    """Refuse to serve `methods` (full paths) when one of them has no permission.

    Raises: MissingPermissionError naming each.
    """
    missing = sorted(set(methods) - set(table))
    if missing:
        raise MissingPermissionError(f"no permission is set in auth/permissions.py for: {', '.join(missing)}")
