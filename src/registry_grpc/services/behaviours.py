"""Reads the annotations of the contract: field behaviour and resource types."""

from __future__ import annotations

from typing import Any, TypeAlias

from google.api import field_behavior_pb2, resource_pb2

Field: TypeAlias = Any
"""A field descriptor: upb and pure Python have a type each."""
Descriptor: TypeAlias = Any
"""A message descriptor, likewise."""
OUTPUT_ONLY: int = field_behavior_pb2.OUTPUT_ONLY
IDENTIFIER: int = field_behavior_pb2.IDENTIFIER
IMMUTABLE: int = field_behavior_pb2.IMMUTABLE
REQUIRED: int = field_behavior_pb2.REQUIRED
# The stubs of protobuf do not know that these may index `Extensions`.
_BEHAVIOUR: Any = field_behavior_pb2.field_behavior
_RESOURCE: Any = resource_pb2.resource
_REFERENCE: Any = resource_pb2.resource_reference


def behaviours_of(field: Field) -> frozenset[int]:
    """The behaviours of a field."""
    return frozenset(field.GetOptions().Extensions[_BEHAVIOUR])


def referenced_type(field: Field) -> str:
    """Type of the resource whose name a field carries, its own included; empty when it carries none."""
    options = field.GetOptions()
    if IDENTIFIER in options.Extensions[_BEHAVIOUR]:
        return str(field.containing_type.GetOptions().Extensions[_RESOURCE].type)
    return str(options.Extensions[_REFERENCE].type)
