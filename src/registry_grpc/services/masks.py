"""Update masks: which top-level fields of a resource an update takes."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.services import behaviours
from registry_grpc.services.behaviours import Descriptor

MAX_PATHS = 100
ALL = "*"
_OUTPUT = {behaviours.OUTPUT_ONLY, behaviours.IDENTIFIER}
_CONTROL = {"name", "etag"}
"""Fields that address a resource and guard its update; nothing to set."""


class _Fields(NamedTuple):
    mutable: frozenset[str]
    immutable: frozenset[str]


def fields_to_update(resource: Message, mask: FieldMask, path: str = "update_mask") -> frozenset[str]:
    """Names of the top-level fields to take from `resource`. An empty mask means those that are populated.

    Raises: INVALID_UPDATE_MASK, IMMUTABLE_FIELD.
    """
    fields = _fields_of(resource.DESCRIPTOR)
    if not mask.paths:
        present = {field.name for field, _ in resource.ListFields()}
        return frozenset(present & fields.mutable)
    if len(mask.paths) > MAX_PATHS:
        raise _refused(path, "", f"has {len(mask.paths)} paths; the limit is {MAX_PATHS}")
    if ALL in mask.paths:
        if len(mask.paths) > 1:
            raise _refused(path, ALL, "'*' stands alone")
        return fields.mutable
    for at, name in enumerate(mask.paths):
        _check(name, fields, resource.DESCRIPTOR, f"{path}.paths[{at}]")
    return frozenset(mask.paths) - _CONTROL


def fields_to_create(resource: Message) -> frozenset[str]:
    """Names of the top-level fields a creation takes from `resource`: the populated ones a caller may set once."""
    fields = _fields_of(resource.DESCRIPTOR)
    present = {field.name for field, _ in resource.ListFields()}
    return frozenset(present & (fields.mutable | fields.immutable))


@cache
def _fields_of(descriptor: Descriptor) -> _Fields:
    mutable: set[str] = set()
    immutable: set[str] = set()
    for field in descriptor.fields:
        given = behaviours.behaviours_of(field)
        if given & _OUTPUT or field.name in _CONTROL:
            continue
        (immutable if behaviours.IMMUTABLE in given else mutable).add(field.name)
    return _Fields(frozenset(mutable), frozenset(immutable))


def _check(name: str, fields: _Fields, descriptor: Descriptor, path: str) -> None:
    if name in fields.mutable or name in _CONTROL:
        return
    shown = name if len(name) <= MAX_PATHS else name[:MAX_PATHS] + "…"
    if name in fields.immutable:
        text = f"{shown!r} never changes after creation"
        raise RegistryError(
            Reason.IMMUTABLE_FIELD,
            f"{path}: {text}",
            violations=(Violation(path, text),),
            field=shown,
        )
    head = name.partition(".")[0]
    if head != name and head in fields.mutable:
        raise _refused(path, shown, f"{shown!r} goes too deep; name the whole field {head!r}")
    if head in descriptor.fields_by_name:
        raise _refused(path, shown, f"{shown!r} is set by the server only")
    known = ", ".join(sorted(fields.mutable))
    raise _refused(path, shown, f"{shown!r} is no field of it; mutable are {known}")


def _refused(path: str, field: str, text: str) -> RegistryError:
    return RegistryError(
        Reason.INVALID_UPDATE_MASK,
        f"{path}: {text}",
        violations=(Violation(path, text),),
        field=field or None,
    )
