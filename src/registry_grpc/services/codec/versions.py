"""Versions with their metadata, which is flat on the wire and one value in the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from registry_grpc.domain.metadata import Metadata
from registry_grpc.domain.names import VersionName
from registry_grpc.domain.resources import Version
from registry_grpc.services.codec.changes import changes_of
from registry_grpc.services.codec.enums import VERSION_STATE
from registry_grpc.services.codec.metadata import (
    card_from_wire,
    card_to_wire,
    dependency_from_wire,
    dependency_to_wire,
    format_from_wire,
    format_to_wire,
    framework_from_wire,
    framework_to_wire,
    metric_from_wire,
    metric_to_wire,
    parameters_from_wire,
    parameters_to_wire,
    signature_from_wire,
    signature_to_wire,
)
from registry_grpc.services.codec.provenance import (
    provenance_from_wire,
    provenance_to_wire,
)
from registry_grpc.services.codec.times import (
    optional_time_from_wire,
    optional_time_to_wire,
    required_time_from_wire,
    time_to_wire,
)
from registry_grpc.v1 import versions_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Reader = Callable[[versions_pb2.ModelVersion, str], Any]

_LONG: tuple[Literal["model_card", "card", "annotations", "dependencies"], ...] = (
    "model_card",
    "card",
    "annotations",
    "dependencies",
)
"""What the basic view leaves out."""


def version_to_wire(version: Version) -> versions_pb2.ModelVersion:
    """The resource."""
    message = versions_pb2.ModelVersion(
        name=str(version.name),
        uid=version.uid,
        number=version.name.number,
        state=VERSION_STATE.to_wire(version.state),
        stage=version.stage,
        aliases=version.aliases,
        version_label=version.version_label,
        owner=version.owner,
        description=version.description,
        model_card=version.model_card,
        card=None if version.card is None else card_to_wire(version.card),
        tags=version.tags,
        annotations=version.annotations,
        formats=[format_to_wire(found) for found in version.formats],
        file_count=version.file_count,
        total_size_bytes=version.total_size_bytes,
        manifest_digest=version.manifest_digest,
        location=version.location,
        state_reason=version.state_reason,
        creator=version.creator,
        copied_from=version.copied_from,
        create_time=time_to_wire(version.create_time),
        update_time=time_to_wire(version.update_time),
        finalize_time=optional_time_to_wire(version.finalize_time),
        expire_time=optional_time_to_wire(version.expire_time),
        delete_time=optional_time_to_wire(version.delete_time),
        purge_time=optional_time_to_wire(version.purge_time),
        etag=version.etag,
        revision=version.revision,
    )
    message.MergeFrom(metadata_to_wire(version.metadata))
    return message


def basic_to_wire(version: Version) -> versions_pb2.ModelVersion:
    """VERSION_VIEW_BASIC."""
    message = version_to_wire(version)
    for name in _LONG:
        message.ClearField(name)
    return message


def metadata_to_wire(metadata: Metadata) -> versions_pb2.ModelVersion:
    """A version message with nothing but the metadata in it."""
    framework, signature, provenance = (
        metadata.framework,
        metadata.signature,
        metadata.provenance,
    )
    return versions_pb2.ModelVersion(
        framework=None if framework is None else framework_to_wire(framework),
        algorithm=metadata.algorithm,
        task=metadata.task,
        domain=metadata.domain,
        signature=None if signature is None else signature_to_wire(signature),
        provenance=None if provenance is None else provenance_to_wire(provenance),
        parameters=parameters_to_wire(metadata.parameters),
        dependencies=[dependency_to_wire(item) for item in metadata.dependencies],
        metrics=[metric_to_wire(metric) for metric in metadata.metrics],
    )


def version_from_wire(message: versions_pb2.ModelVersion, path: str = "version") -> Version:
    """The whole resource as a server sent it, without `model_uid`, which the wire does not carry.

    Raises: INVALID_FIELD, INVALID_RESOURCE_NAME.
    """
    return Version(
        uid=message.uid,
        model_uid="",
        name=VersionName.parse(message.name, f"{path}.name"),
        state=VERSION_STATE.from_wire(message.state, f"{path}.state"),
        stage=message.stage,
        aliases=tuple(message.aliases),
        metadata=metadata_from_wire(message, path),
        formats=tuple(format_from_wire(found) for found in message.formats),
        file_count=message.file_count,
        total_size_bytes=message.total_size_bytes,
        manifest_digest=message.manifest_digest,
        state_reason=message.state_reason,
        creator=message.creator,
        copied_from=message.copied_from,
        create_time=required_time_from_wire(message, "create_time", path),
        update_time=required_time_from_wire(message, "update_time", path),
        finalize_time=optional_time_from_wire(message, "finalize_time", path),
        expire_time=optional_time_from_wire(message, "expire_time", path),
        delete_time=optional_time_from_wire(message, "delete_time", path),
        purge_time=optional_time_from_wire(message, "purge_time", path),
        revision=message.revision,
        **version_changes(message, _READERS, path),
    )


_READERS: dict[str, Reader] = {
    "version_label": lambda message, _: message.version_label,
    "owner": lambda message, _: message.owner,
    "description": lambda message, _: message.description,
    "model_card": lambda message, _: message.model_card,
    "card": lambda message, _: card_from_wire(message.card) if message.HasField("card") else None,
    "tags": lambda message, _: dict(message.tags),
    "annotations": lambda message, _: dict(message.annotations),
}
_METADATA_READERS: dict[str, Reader] = {
    "framework": lambda message, _: framework_from_wire(message.framework) if message.HasField("framework") else None,
    "algorithm": lambda message, _: message.algorithm,
    "task": lambda message, _: message.task,
    "domain": lambda message, _: message.domain,
    "signature": lambda message, path: (
        signature_from_wire(message.signature, path) if message.HasField("signature") else None
    ),
    "provenance": lambda message, path: (
        provenance_from_wire(message.provenance, path) if message.HasField("provenance") else None
    ),
    "parameters": lambda message, path: parameters_from_wire(message.parameters, path),
    "dependencies": lambda message, _: tuple(dependency_from_wire(item) for item in message.dependencies),
    "metrics": lambda message, path: tuple(
        metric_from_wire(metric, f"{path}[{at}]") for at, metric in enumerate(message.metrics)
    ),
}
METADATA_FIELDS = frozenset(_METADATA_READERS)
"""Fields of the message that belong to `Metadata` and are frozen when the version is finalized."""


def version_changes(
    message: versions_pb2.ModelVersion, fields: Collection[str], path: str = "version"
) -> dict[str, Any]:
    """Fields of `Version` for `dataclasses.replace`, of those in `fields` that a caller may set; not the metadata."""
    return changes_of(_READERS, message, fields, path)


def metadata_changes(
    message: versions_pb2.ModelVersion, fields: Collection[str], path: str = "version"
) -> dict[str, Any]:
    """Fields of `Metadata` for `dataclasses.replace`, of those in `fields`.

    Raises: INVALID_FIELD.
    """
    return changes_of(_METADATA_READERS, message, fields, path)


def metadata_from_wire(message: versions_pb2.ModelVersion, path: str = "version") -> Metadata:
    """All of the metadata in a version message.

    Raises: INVALID_FIELD.
    """
    return Metadata(**metadata_changes(message, METADATA_FIELDS, path))
