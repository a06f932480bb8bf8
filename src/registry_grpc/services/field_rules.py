"""The limits of the contract, by kind of field: exact field first, then its name, then its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.domain.access import MAX_CERTIFICATE_NAMES, MAX_CONDITIONS, MAX_MEMBERS, MAX_PERMISSIONS
from registry_grpc.domain.access_names import RoleBindingName, RoleName, ServiceAccountName, TokenName
from registry_grpc.domain.artifacts import MAX_ARTIFACT_BYTES
from registry_grpc.domain.compare import MAX_COMPARED
from registry_grpc.domain.evidence import MAX_PEM_CHARS, MAX_SUMMARY, MAX_TOOL
from registry_grpc.domain.evidence_names import EvidenceName, SignatureName, TrustedSignerName
from registry_grpc.domain.filters.tree import MAX_CHARS as MAX_FILTER_CHARS
from registry_grpc.domain.filters.words import MAX_QUERY_CHARS
from registry_grpc.domain.governance_names import PolicyName, PromotionRequestName
from registry_grpc.domain.lineage import MAX_NODE_ID, MAX_PROPERTIES
from registry_grpc.domain.lineage_names import RunName
from registry_grpc.domain.names import (
    ArtifactName,
    DeploymentName,
    ModelName,
    PointerName,
    ProjectName,
    UploadName,
    VersionName,
)
from registry_grpc.domain.policies import MAX_EXPRESSION_CHARS, MAX_PATHS, MAX_RULES, MAX_WINDOWS
from registry_grpc.domain.search import MAX_FACETS, MAX_TIE_BREAKS
from registry_grpc.domain.stages import MAX_STAGES
from registry_grpc.domain.webhook_names import DeliveryName, WebhookName
from registry_grpc.domain.webhooks import MAX_FILTERS
from registry_grpc.services import texts

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TAGS = 64
MAX_ANNOTATIONS = 64
MAX_ANNOTATION_BYTES = 64 * 1024
MAX_BATCH = 100
MAX_LIST = 1000
MAX_NAME_CHARS = 256
MAX_STRING_CHARS = 2048
MAX_CARD_TEXT = 16_384
CARD_TEXTS = ("intended_use", "limitations", "ethical_considerations", "training_data", "evaluation", "citation")
NAMES: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "registry-grpc/Project": (ProjectName.FORM, ProjectName.parse),
    "registry-grpc/Model": (ModelName.FORM, ModelName.parse),
    "registry-grpc/ModelVersion": (VersionName.FORM, VersionName.parse),
    "registry-grpc/Stage": (PointerName.STAGE_FORM, PointerName.parse_stage),
    "registry-grpc/Artifact": (ArtifactName.FORM, ArtifactName.parse),
    "registry-grpc/Upload": (UploadName.FORM, UploadName.parse),
    "registry-grpc/Deployment": (DeploymentName.FORM, DeploymentName.parse),
    "registry-grpc/Role": (RoleName.FORM, RoleName.parse),
    "registry-grpc/RoleBinding": (RoleBindingName.FORM, RoleBindingName.parse),
    "registry-grpc/ServiceAccount": (ServiceAccountName.FORM, ServiceAccountName.parse),
    "registry-grpc/Token": (TokenName.FORM, TokenName.parse),
    "registry-grpc/TrustedSigner": (TrustedSignerName.FORM, TrustedSignerName.parse),
    "registry-grpc/ModelSignature": (SignatureName.FORM, SignatureName.parse),
    "registry-grpc/Evidence": (EvidenceName.FORM, EvidenceName.parse),
    "registry-grpc/Run": (RunName.FORM, RunName.parse),
    "registry-grpc/Policy": (PolicyName.FORM, PolicyName.parse),
    "registry-grpc/PromotionRequest": (PromotionRequestName.FORM, PromotionRequestName.parse),
    "registry-grpc/Webhook": (WebhookName.FORM, WebhookName.parse),
    "registry-grpc/Delivery": (DeliveryName.FORM, DeliveryName.parse),
}
"""Resource type to the form of its names and their parser."""


def at_least(minimum: int) -> Callable[[int], str]:
    """A number that is not below `minimum`."""
    return lambda value: "" if value >= minimum else f"is {value}; must be at least {minimum}"


def size(value: int) -> str:
    """Size of a file."""
    if 0 <= value <= MAX_ARTIFACT_BYTES:
        return ""
    return f"is {value}; must be 0 to {MAX_ARTIFACT_BYTES} bytes"


def percent(value: int) -> str:
    """A share."""
    return "" if 0 <= value <= 100 else f"is {value}; must be 0 to 100"  # noqa: PLR2004 - per cent


def anything(_: object) -> str:
    """No rule."""
    return ""


_name = texts.line(MAX_NAME_CHARS)
STRING = texts.line(MAX_STRING_CHARS)
NUMBER = at_least(0)

BY_FIELD: dict[str, Callable[[Any], str]] = {
    "StageDefinition.id": texts.settable_pointer_id,
    "StageDefinition.accepts_from": texts.pointer_id_or_any,
    "StageDefinition.displaced_to": texts.pointer_id,
    "ResolveRequest.alias": texts.pointer_id,
    "ResolveRequest.reference": texts.pointer_id,
    "ResolveRequest.version": at_least(1),
    "UpdateAliasesRequest.delete": texts.settable_pointer_id,
    "UpdateAliasesRequest.set": at_least(1),
    "StartUploadRequest.path": texts.file_path,
    "ArtifactAttachment.path": texts.file_path,
    "TensorSpec.shape": at_least(-1),
    "ParameterValue.int64_value": anything,
    "DatasetVersion.digest": texts.any_digest,
    "ParentModel.digest": texts.any_digest,
    "Chunk.content": anything,
    "Chunk.crc32c": anything,
    "Metric.dataset": _name,
    **dict.fromkeys((f"ModelCard.{name}" for name in CARD_TEXTS), texts.lines(MAX_CARD_TEXT)),
    "ModelCard.contacts": texts.line(512),
    "ModelCard.license": texts.line(128),
    "ModelCard.languages": texts.language,
    "CreateRoleBindingRequest.parent": texts.scope,
    "ListRoleBindingsRequest.parent": texts.scope,
    "CreateServiceAccountRequest.parent": texts.project_or_registry,
    "ListServiceAccountsRequest.parent": texts.project_or_registry,
    "TestPermissionsRequest.resource": texts.in_a_project,
    "TestPermissionsRequest.permissions": texts.permission,
    "Role.permissions": texts.permission,
    "RoleBinding.members": texts.member,
    "Condition.stages": texts.pointer_id,
    "ServiceAccount.certificate_names": texts.certificate_name,
    "IssueTokenRequest.principal": texts.principal,
    "Webhook.models": texts.resource_id,
    "Webhook.stages": texts.pointer_id,
    "ListTokensRequest.principal": texts.principal,
    "Deployment.traffic_percent": percent,
    "Deployment.message": texts.lines(4_096),
    "ListConsumersRequest.parent": texts.model_or_version,
    "ListPromotionRequestsRequest.parent": texts.project_or_model,
    "Policy.models": texts.id_pattern,
    "Policy.stages": texts.pointer_id,
    "PolicyRule.id": texts.resource_id,
    "MetricSelector.slice": _name,
    "MetricBound.bound": anything,
    "MetricAgainstHolder.relative_tolerance": anything,
    "MetricAgainstHolder.absolute_tolerance": anything,
    "RequiredFields.paths": _name,
    "RequiredApprovals.roles": texts.role,
    "RequiredSignature.trusted_signers": texts.trusted_signer,
    "RequiredEvidence.reporters": texts.principal,
    "Window.days": anything,
    "Expression.expression": texts.lines(MAX_EXPRESSION_CHARS),
    "ListAuditEntriesRequest.parent": texts.project_or_registry,
    "TrustedSigner.public_key": texts.lines(MAX_PEM_CHARS),
    "TrustedSigner.certificate_authorities": texts.lines(MAX_PEM_CHARS),
    "TrustedSigner.certificate_identity": texts.signing_identity,
    "AddSignatureRequest.bundle": anything,
    "Evidence.tool": texts.line(MAX_TOOL),
    "Evidence.tool_version": texts.line(MAX_TOOL),
    "Evidence.summary": texts.lines(MAX_SUMMARY),
    "Evidence.report_sha256": texts.sha256,
    "Evidence.report_uri": texts.uri_label,
    "LineageNode.id": texts.line(MAX_NODE_ID),
    "LineageNode.digest": texts.any_digest,
    "Run.system": texts.line(128),
    "CompareVersionsRequest.parent": texts.project_or_all,
    "SearchModelsRequest.parent": texts.project_or_all,
    "SearchVersionsRequest.parent": texts.project_or_all,
    "SelectBestRequest.parent": texts.project_or_all,
    "Objective.metric": _name,
    "Objective.dataset": _name,
    "Objective.dataset_version": _name,
    "Objective.slice": _name,
}
BY_NAME: dict[str, Callable[[Any], str]] = {
    "project_id": texts.resource_id,
    "model_id": texts.resource_id,
    "role_id": texts.resource_id,
    "role_binding_id": texts.resource_id,
    "service_account_id": texts.resource_id,
    "webhook_id": texts.resource_id,
    "policy_id": texts.resource_id,
    "run_id": texts.run_id,
    "reason": texts.lines(4_096),
    "comment": texts.lines(4_096),
    "trusted_signer_id": texts.resource_id,
    "stage": texts.pointer_id,
    "request_id": texts.uuid,
    "display_name": texts.line(128),
    "version_label": texts.line(128),
    "owner": texts.line(256),
    "description": texts.lines(16_384),
    "model_card": texts.lines(524_288),
    "justification": texts.lines(4_096),
    "etag": texts.etag,
    "sha256": texts.sha256,
    "manifest_digest": texts.manifest_digest,
    "uri": texts.uri_label,
    "repository": texts.uri_label,
    "media_type": texts.media_type,
    "environment": _name,
    "cluster": _name,
    "namespace": _name,
    "workload": _name,
    "slot": _name,
    "name": _name,
    "size_bytes": size,
    "filter": texts.lines(MAX_FILTER_CHARS),
    "version_filter": texts.lines(MAX_FILTER_CHARS),
    "query": texts.lines(MAX_QUERY_CHARS),
}
COUNTS: dict[str, int] = {
    "StageDefinition.accepts_from": MAX_STAGES,
    "Project.stages": MAX_STAGES,
    "ModelVersion.dependencies": 5_000,
    "ModelCard.contacts": 16,
    "ModelCard.languages": 64,
    "CompareVersionsRequest.names": MAX_COMPARED,
    "TensorSpec.shape": 32,
    "BatchGetVersionsRequest.names": MAX_BATCH,
    "BatchResolveRequest.requests": MAX_BATCH,
    "UpdateAliasesRequest.set": MAX_BATCH,
    "UpdateAliasesRequest.delete": MAX_BATCH,
    "UpdateAliasesRequest.expected": MAX_BATCH,
    "ListVersionsRequest.states": 16,
    "ListUploadsRequest.states": 16,
    "ListDeploymentsRequest.states": 16,
    "Role.permissions": MAX_PERMISSIONS,
    "TestPermissionsRequest.permissions": MAX_BATCH,
    "RoleBinding.members": MAX_MEMBERS,
    "Condition.stages": MAX_CONDITIONS,
    "Condition.read_only_tags": MAX_CONDITIONS,
    "ServiceAccount.certificate_names": MAX_CERTIFICATE_NAMES,
    "ListDeliveriesRequest.states": 16,
    "ListPromotionRequestsRequest.states": 16,
    "Policy.models": MAX_RULES,
    "Policy.stages": MAX_STAGES,
    "Policy.rules": MAX_RULES,
    "RequiredFields.paths": MAX_PATHS,
    "FreezeWindows.windows": MAX_WINDOWS,
    "ListEvidenceRequest.kinds": 16,
    "LineageNode.properties": MAX_PROPERTIES,
    "GetLineageRequest.types": 16,
    "SearchModelsRequest.facets": MAX_FACETS,
    "SearchVersionsRequest.facets": MAX_FACETS,
    "SelectBestRequest.tie_breaks": MAX_TIE_BREAKS,
    **{f"Webhook.{field}": MAX_FILTERS for field in ("models", "resource_types", "actions", "stages")},
}
"""Most items of a list or map; MAX_LIST for those not named here."""
KEYS: dict[str, Callable[[str], str]] = {
    "tags": texts.line(128),
    "read_only_tags": texts.line(128),
    "annotations": texts.line(256),
    "properties": texts.line(128),
    "parameters": _name,
    "set": texts.settable_pointer_id,
    "expected": texts.settable_pointer_id,
}
"""Rules for the keys of maps, which are never empty."""
VALUES: dict[str, Callable[[Any], str]] = {
    "tags": texts.line(512),
    "read_only_tags": texts.line(512),
    "annotations": texts.line(8_192),
    "properties": texts.line(512),
}
REFERENCES = {"ParentModel.version": "registry-grpc/ModelVersion"}
"""Names of resources that may be empty and carry no resource_reference in the contract."""
ONEOFS = {("PolicyRule", "rule"), ("ResolveRequest", "selector"), ("ParameterValue", "kind")}
"""Oneofs that must be set."""
IDENTITY_IN = {"update_mask"}
"""A request with one of these fields names the resource in it by `name`."""
COUNTS |= {f"{kind}.tags": MAX_TAGS for kind in ("Project", "Model", "ModelVersion")}
COUNTS |= {
    f"{kind}.annotations": MAX_ANNOTATIONS for kind in ("Project", "Model", "ModelVersion", "Deployment", "Evidence")
}
UNSEEN = frozenset({"registry_grpc.v1.WriteUploadRequest.chunk"})
"""Not looked at: every look at its bytes copies them. Whoever takes the chunk checks it."""
