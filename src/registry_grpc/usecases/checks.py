"""Checks that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.resources import VersionState

if TYPE_CHECKING:
    from datetime import datetime

    from registry_grpc.domain.access import Grant, Role, RoleBinding, ServiceAccount
    from registry_grpc.domain.deployments import Deployment
    from registry_grpc.domain.evidence import TrustedSigner
    from registry_grpc.domain.lineage import Run
    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.policies import Policy
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.domain.webhooks import Webhook
    from registry_grpc.ports.store import Reader, Unit


def require_etag(
    resource: (
        Project
        | Model
        | Version
        | Deployment
        | Role
        | RoleBinding
        | ServiceAccount
        | TrustedSigner
        | Webhook
        | Policy
        | PromotionRequest
        | Run
    ),
    etag: str,
) -> None:
    """Refuse a stale etag; an empty one means any.

    Raises: ETAG_MISMATCH.
    """
    if etag and etag != resource.etag:
        raise RegistryError(
            Reason.ETAG_MISMATCH,
            f"{resource.name} changed since etag {etag!r}; read it again and decide",
            resource=resource.name,
            currentEtag=resource.etag,
        )


def live_model(reader: Reader, name: ModelName) -> Model:
    """The model, when it is not deleted.

    Raises: MODEL_NOT_FOUND.
    """
    return require_live_model(reader.models.get(name))


def locked_model(unit: Unit, name: ModelName) -> Model:
    """The model, locked, when it is not deleted. Its lock serialises every write below it.

    Raises: MODEL_NOT_FOUND.
    """
    return require_live_model(unit.models.lock(name))


def require_live_model(model: Model) -> Model:
    """Raises: MODEL_NOT_FOUND for a deleted model."""
    if model.delete_time is not None:
        raise RegistryError(
            Reason.MODEL_NOT_FOUND,
            f"{model.name} is deleted; undelete it first",
            resource=model.name,
        )
    return model


def require_live_version(version: Version) -> Version:
    """Raises: VERSION_NOT_FOUND for a deleted version."""
    if version.delete_time is not None:
        raise RegistryError(
            Reason.VERSION_NOT_FOUND,
            f"{version.name} is deleted; undelete it first",
            resource=version.name,
        )
    return version


def require_restorable(resource: Project | Model | Version, reason: Reason, now: datetime) -> None:
    """Refuse to bring back what is not deleted, or what is past its purge_time although nobody purged it yet.

    Raises: RESOURCE_EXISTS; `reason`, as if it were gone.
    """
    if resource.delete_time is None:
        # As AIP-164 has it.
        raise RegistryError(Reason.RESOURCE_EXISTS, f"{resource.name} is not deleted", resource=resource.name)
    if resource.purge_time is not None and resource.purge_time <= now:
        raise RegistryError(
            reason,
            f"{resource.name} could be undeleted until {resource.purge_time:%Y-%m-%d %H:%M:%SZ}; it is being purged",
            resource=resource.name,
        )


def require_draft(version: Version) -> None:
    """Raises: VERSION_IMMUTABLE for anything but a draft."""
    if version.state is not VersionState.DRAFT:
        raise RegistryError(
            Reason.VERSION_IMMUTABLE,
            f"{version.name} is {version.state.upper()}: its content is frozen; create a new version",
            version=version.name,
            state=version.state.upper(),
        )


def require_manifest_digest(version: Version, wanted: str) -> None:
    """Refuse when the caller expects other content; an empty `wanted` means any.

    Raises: DIGEST_MISMATCH.
    """
    if wanted and wanted != version.manifest_digest:
        raise RegistryError(
            Reason.DIGEST_MISMATCH,
            f"{version.name} has manifest digest {version.manifest_digest}, not {wanted}",
            expected=wanted,
            actual=version.manifest_digest,
        )


def require_move(
    grant: Grant, project: Project, stage: str, version: Version, model: Model, displaced: Version | None = None
) -> None:
    """Refuse a move of `version` into or out of `stage` that lies outside the conditions of the caller's bindings.

    The stage it comes from counts when it is protected; what it displaces is changed too.

    Raises: PERMISSION_MISSING.
    """
    leaves = any(each.id == version.stage and each.protected for each in project.stages)
    changed = (version, displaced) if displaced is not None else (version,)
    grant.require(
        version.name,
        stages=(stage, version.stage) if leaves and version.stage != stage else (stage,),
        tags=(model.tags, *(each.tags for each in changed)),
    )


def require_same_project(project: str, other: str, field: str) -> None:
    """Raises: INVALID_FIELD when a name lies outside the project of the call."""
    if project != other:
        raise invalid_field(field, f"lies in project {other!r}, not in {project!r} of the call")
