"""Checks a request against its descriptor: field behaviour, resource names, enums, and the limits in `field_rules`.

A validator is compiled once per message type. What needs the database is the use case's business.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from registry_grpc.domain.errors import (
    Reason,
    RegistryError,
    Violation,
    invalid_fields,
)
from registry_grpc.services import behaviours, field_rules
from registry_grpc.services.behaviours import Descriptor, Field
from registry_grpc.services.codec.times import duration_fault, time_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    Faults = list[Violation]
    Visit = Callable[[Any, str, Faults], None]
    """Looks at a value that is present; gets the path of the message around it, with a dot at its end."""

MAX_FAULTS = 20
_MAX_SHOWN = 100
_STRING = FieldDescriptor.CPPTYPE_STRING
_MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE
_ENUM = FieldDescriptor.CPPTYPE_ENUM
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


class NameViolation(Violation):
    """A resource name without the required form; `description` ends in the form."""

    __slots__ = ()


def validate(message: Message) -> None:
    """Return when `message` is a request this server can take up.

    Raises: INVALID_FIELD with every fault found (at most 20); INVALID_RESOURCE_NAME when only names are at fault.
    """
    faults: Faults = []
    validator_for(message.DESCRIPTOR).collect(message, "", faults)
    if faults:
        raise refusal(faults[:MAX_FAULTS])


def refusal(faults: Faults) -> RegistryError:
    """The error for these faults."""
    error = invalid_fields(tuple(faults))
    if not all(isinstance(fault, NameViolation) for fault in faults):
        return error
    return RegistryError(
        Reason.INVALID_RESOURCE_NAME,
        error.message,
        violations=error.violations,
        pattern=faults[0].description.rpartition(" ")[2],
    )


class Validator:
    """The compiled checks of one message type."""

    __slots__ = ("_oneofs", "_required", "_visits")

    def __init__(self, descriptor: Descriptor, *, identified: bool) -> None:
        """With `identified` the message must carry the `name` of the resource it is; the rest it has already."""
        updates = any(field.name in field_rules.IDENTITY_IN for field in descriptor.fields)
        self._visits: dict[int, Visit] = {}
        self._required: list[tuple[int, str]] = []
        self._oneofs = [
            oneof.name for oneof in descriptor.oneofs if (descriptor.name, oneof.name) in field_rules.ONEOFS
        ]
        for field in descriptor.fields:
            given = behaviours.behaviours_of(field)
            if behaviours.OUTPUT_ONLY in given:
                continue
            identifier = behaviours.IDENTIFIER in given
            if identifier and not identified:
                continue
            if field.full_name not in field_rules.UNSEEN:
                self._visits[field.number] = _visit(field, identified=updates)
            if identifier or (not identified and behaviours.REQUIRED in given and _can_be_missing(field)):
                self._required.append((field.number, field.name))

    def collect(self, message: Message, path: str, faults: Faults) -> None:
        """Append what is wrong with `message`, whose fields lie under `path`."""
        visits = self._visits
        present = []
        for field, value in message.ListFields():
            number = field.number
            present.append(number)
            visit = visits.get(number)
            if visit is not None:
                visit(value, path, faults)
                if len(faults) >= MAX_FAULTS:
                    return
        for number, name in self._required:
            if number not in present:
                faults.append(Violation(f"{path}{name}", "is required"))
        for oneof in self._oneofs:
            if message.WhichOneof(oneof) is None:
                faults.append(Violation(f"{path}{oneof}", "one of its fields is required"))


@cache
def validator_for(descriptor: Descriptor, *, identified: bool = False) -> Validator:
    """The validator of a message type."""
    return Validator(descriptor, identified=identified)


def _can_be_missing(field: Field) -> bool:
    """Whether absence can be told: 0 and false are values."""
    return field.is_repeated or field.cpp_type in {_STRING, _MESSAGE, _ENUM}


def _visit(field: Field, *, identified: bool) -> Visit:
    if _is_map(field):
        return _map_visit(field)
    item = _item_visit(field, identified=identified)
    return _list_visit(field, item) if field.is_repeated else item


def _is_map(field: Field) -> bool:
    message = field.message_type
    return message is not None and message.GetOptions().map_entry


def _item_visit(field: Field, *, identified: bool) -> Visit:
    """Looks at one value; the path it gets is that of the message around, as for a field that is not repeated."""
    name = field.name
    if field.cpp_type == _MESSAGE:
        return _message_visit(field, identified=identified)
    resource = "" if _key(field) in field_rules.BY_FIELD else _resource_type(field)
    if resource:
        return _name_visit(name, resource)
    rule = _rule(field)

    def visit(value: object, path: str, faults: Faults) -> None:
        fault = rule(value)
        if fault:
            faults.append(Violation(path + name, fault))

    return visit


def _message_visit(field: Field, *, identified: bool) -> Visit:
    name, message = field.name, field.message_type
    well_known = _WELL_KNOWN.get(message.full_name)
    if well_known is not None:

        def visit_known(value: Any, path: str, faults: Faults) -> None:  # noqa: ANN401
            fault = well_known(value)
            if fault:
                faults.append(Violation(path + name, fault))

        return visit_known

    def visit(value: Message, path: str, faults: Faults) -> None:
        validator_for(message, identified=identified).collect(value, f"{path}{name}.", faults)

    return visit


_WELL_KNOWN: dict[str, Callable[[Any], str]] = {
    "google.protobuf.Timestamp": lambda value: time_fault(value.seconds, value.nanos),
    "google.protobuf.Duration": lambda value: duration_fault(value.seconds, value.nanos),
    # Masks are judged against their resource, in services.masks.
    "google.protobuf.FieldMask": lambda _: "",
}


def _name_visit(name: str, resource: str) -> Visit:
    form, parse = field_rules.NAMES[resource]

    def visit(value: str, path: str, faults: Faults) -> None:
        try:
            parse(value, name)
        except RegistryError:
            shown = value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…"
            faults.append(NameViolation(path + name, f"{shown!r} must have the form {form}"))

    return visit


def _list_visit(field: Field, item: Visit) -> Visit:
    name, limit = field.name, _count(field)

    def visit(values: Any, path: str, faults: Faults) -> None:  # noqa: ANN401
        if len(values) > limit:
            faults.append(Violation(path + name, _too_many(len(values), limit)))
            return
        for at, value in enumerate(values):
            before = len(faults)
            item(value, path, faults)
            if len(faults) > before:
                _put_index(faults, before, f"{path}{name}", f"[{at}]")
                if len(faults) >= MAX_FAULTS:
                    return

    return visit


def _put_index(faults: Faults, start: int, prefix: str, index: str) -> None:
    """Make `digests.sha256` `digests[3].sha256`: paths of items are built only for faults."""
    for at in range(start, len(faults)):
        fault = faults[at]
        subject = f"{prefix}{index}{fault.subject[len(prefix) :]}"
        faults[at] = type(fault)(subject, fault.description)


def _map_visit(field: Field) -> Visit:
    name, limit = field.name, _count(field)
    key_rule = field_rules.KEYS[name]
    value_field = field.message_type.fields_by_name["value"]
    message = value_field.message_type
    value_rule = field_rules.VALUES.get(name) or _rule(field, value_field)
    capped = name == "annotations"

    def visit(values: Any, path: str, faults: Faults) -> None:  # noqa: ANN401
        if len(values) > limit:
            faults.append(Violation(path + name, _too_many(len(values), limit)))
            return
        for key, value in values.items():
            at = f"{path}{name}[{key[:60]!r}]"
            fault = key_rule(key) if key else "an empty key"
            if fault:
                faults.append(Violation(at, f"key: {fault}"))
            if message is not None:
                validator_for(message).collect(value, f"{at}.", faults)
            elif fault := value_rule(value):
                faults.append(Violation(at, fault))
            if len(faults) >= MAX_FAULTS:
                return
        if capped and (total := _bytes_of(values)) > field_rules.MAX_ANNOTATION_BYTES:
            faults.append(
                Violation(
                    path + name,
                    f"are {total} bytes together; the limit is {field_rules.MAX_ANNOTATION_BYTES}",
                )
            )

    return visit


def _bytes_of(values: Any) -> int:  # noqa: ANN401
    return sum(len(k.encode()) + len(v.encode()) for k, v in values.items())


def _too_many(count: int, limit: int) -> str:
    return f"has {count} items; the limit is {limit}"


def _count(field: Field) -> int:
    return field_rules.COUNTS.get(_key(field), field_rules.MAX_LIST)


def _key(field: Field) -> str:
    return f"{field.containing_type.name}.{field.name}"


def _resource_type(field: Field) -> str:
    return behaviours.referenced_type(field) or field_rules.REFERENCES.get(_key(field), "")


def _rule(field: Field, typed: Field = None) -> Callable[[Any], str]:
    """The rule of a scalar; `typed` is the value field of a map, which knows the type while the map knows the name."""
    known = field_rules.BY_FIELD.get(_key(field)) or field_rules.BY_NAME.get(field.name)
    typed = typed or field
    if typed.cpp_type == _ENUM:
        return _enum_rule(typed)
    if known is not None:
        return known
    if typed.cpp_type == _STRING and typed.type == FieldDescriptor.TYPE_STRING:
        return field_rules.STRING
    return field_rules.NUMBER if typed.cpp_type in _INTEGERS else field_rules.anything


def _enum_rule(field: Field) -> Callable[[int], str]:
    numbers = set(field.enum_type.values_by_number)
    names = ", ".join(value.name for value in field.enum_type.values if value.number)

    def rule(value: int) -> str:
        return "" if value in numbers else f"{value} is no known value; one of {names}"

    return rule
