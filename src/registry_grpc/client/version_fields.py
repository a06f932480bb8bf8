"""The metadata of a version as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from registry_grpc.client import metadata
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.metadata import (
    CardLike,
    DependencyLike,
    FrameworkLike,
    MetricsLike,
    ParameterLike,
    ProvenanceLike,
    SignatureLike,
)
from registry_grpc.v1 import versions_pb2

PLAIN = frozenset({"version_label", "owner", "description", "model_card", "algorithm", "task", "domain"})
MAPS = frozenset({"tags", "annotations"})
MESSAGES: Mapping[str, Callable[[Any], Any]] = {
    "card": metadata.card,
    "framework": metadata.framework,
    "signature": metadata.signature,
    "provenance": metadata.provenance,
}
LISTS: Mapping[str, Callable[[Any], Any]] = {"dependencies": metadata.dependencies, "metrics": metadata.metrics}


class VersionFields(TypedDict, total=False):
    """What a caller may say of a version; simple Python values or the contract's messages."""

    version_label: str
    owner: str
    description: str
    model_card: str
    card: CardLike
    tags: Mapping[str, str]
    annotations: Mapping[str, str]
    framework: FrameworkLike
    algorithm: str
    task: str
    domain: str
    signature: SignatureLike
    provenance: ProvenanceLike
    parameters: Mapping[str, ParameterLike]
    dependencies: Iterable[DependencyLike]
    metrics: MetricsLike


def version_message(fields: Mapping[str, Any], name: str = "") -> versions_pb2.ModelVersion:
    """The message for `fields`; a field that is None was not given.

    Raises: InvalidArgument.
    """
    made = versions_pb2.ModelVersion(name=name)
    for field, value in fields.items():
        if field not in VersionFields.__annotations__:
            known = ", ".join(VersionFields.__annotations__)
            raise InvalidArgument(f"a version has no field {field!r} that can be given; there are {known}")
        if value is None:
            continue
        if field in PLAIN:
            setattr(made, field, value)
        elif field in MAPS:
            getattr(made, field).update(value)
        elif field in MESSAGES:
            getattr(made, field).CopyFrom(MESSAGES[field](value))
        elif field in LISTS:
            getattr(made, field).extend(LISTS[field](value))
        else:
            for key, item in value.items():
                made.parameters[key].CopyFrom(metadata.parameter(item))
    return made
