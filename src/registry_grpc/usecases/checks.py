"""Checks that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.resources import VersionState

if TYPE_CHECKING:
    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Reader, Unit


def require_etag(resource: Project | Model | Version, etag: str) -> None:
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


def require_same_project(project: str, other: str, field: str) -> None:
    """Raises: INVALID_FIELD when a name lies outside the project of the call."""
    if project != other:
        raise invalid_field(field, f"lies in project {other!r}, not in {project!r} of the call")
