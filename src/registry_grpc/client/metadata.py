"""Simple Python values in, the contract's messages out: `framework="scikit-learn==1.5"`, `metrics={"auc": 0.93}`.

A message of the contract is always taken as it is; a mapping has the message's field names, enums by short name
(`"maximise"`, `"train"`, `"fine_tuned"`, `"float32"`).
"""

# ruff: noqa: ANN401 -- what callers give is judged here

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.requirements import requirement
from registry_grpc.v1 import metadata_pb2

ParameterLike = bool | int | float | str | metadata_pb2.ParameterValue
FrameworkLike = str | tuple[str, str] | metadata_pb2.Framework
MetricsLike = Mapping[str, float] | Iterable[metadata_pb2.Metric | Mapping[str, Any]]
DependencyLike = str | Mapping[str, Any] | metadata_pb2.Dependency
SignatureLike = Mapping[str, Any] | metadata_pb2.Signature
ProvenanceLike = Mapping[str, Any] | metadata_pb2.Provenance
CardLike = Mapping[str, Any] | metadata_pb2.ModelCard

_M = TypeVar("_M", bound=Message)


def framework(value: FrameworkLike) -> metadata_pb2.Framework:
    """`"scikit-learn==1.5"`, `"pytorch"` or `("scikit-learn", "1.5.0")`; the name is lower-cased."""
    if isinstance(value, metadata_pb2.Framework):
        return value
    if isinstance(value, str):
        name, _, version = value.partition("==")
    else:
        name, version = value
    if not name.strip():
        raise InvalidArgument(f"framework {value!r} has no name; write name==version, e.g. scikit-learn==1.5.2")
    return metadata_pb2.Framework(name=name.strip().lower(), version=version.strip())


def parameter(value: ParameterLike) -> metadata_pb2.ParameterValue:
    """A typed value; bool before int, because Python takes True for 1.

    Raises: InvalidArgument.
    """
    if isinstance(value, metadata_pb2.ParameterValue):
        return value
    if isinstance(value, bool):
        return metadata_pb2.ParameterValue(bool_value=value)
    if isinstance(value, int):
        return metadata_pb2.ParameterValue(int64_value=value)
    if isinstance(value, float):
        return metadata_pb2.ParameterValue(double_value=value)
    if isinstance(value, str):
        return metadata_pb2.ParameterValue(string_value=value)
    raise InvalidArgument(f"parameter value {value!r} is a {type(value).__name__}; give a bool, int, float or str")


def plain(value: metadata_pb2.ParameterValue) -> bool | int | float | str | None:
    """The Python value of a typed one; None when it holds a kind this client does not know."""
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)


def metrics(values: MetricsLike) -> list[metadata_pb2.Metric]:
    """`{"auc": 0.93}`, or messages and mappings with dataset, slice, direction."""
    if isinstance(values, Mapping):
        return [metadata_pb2.Metric(name=name, value=value) for name, value in values.items()]
    return [message(metadata_pb2.Metric, value, "metrics") for value in values]


def dependencies(values: Iterable[DependencyLike]) -> list[metadata_pb2.Dependency]:
    """Requirement lines (`"numpy==2.1 ; sys_platform == 'linux'"`, taken for PyPI), mappings or messages."""
    return [requirement(value) if isinstance(value, str) else _dependency(value) for value in values]


def _dependency(value: Mapping[str, Any] | metadata_pb2.Dependency) -> metadata_pb2.Dependency:
    made = message(metadata_pb2.Dependency, value, "dependencies")
    if not isinstance(value, metadata_pb2.Dependency) and not made.ecosystem:
        made.ecosystem = "pypi"
    return made


def signature(value: SignatureLike) -> metadata_pb2.Signature:
    """From `{"inputs": [{"name": "x", "data_type": "float32", "shape": [-1, 20]}], "outputs": […]}`, or a message."""
    return message(metadata_pb2.Signature, value, "signature")


def provenance(value: ProvenanceLike) -> metadata_pb2.Provenance:
    """`{"training_run": {…}, "code": {…}, "training_data": […], "preprocessing": […], "parents": […]}`."""
    return message(metadata_pb2.Provenance, value, "provenance")


def card(value: CardLike) -> metadata_pb2.ModelCard:
    """`{"intended_use": "…", "license": "apache-2.0", "languages": ["en"], …}`, or a message."""
    return message(metadata_pb2.ModelCard, value, "card")


def message(kind: type[_M], value: Any, where: str) -> _M:
    """`value` as a message of `kind`: the message itself, or a mapping with its field names.

    Raises: InvalidArgument that names the field.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{where}: {value!r} is neither a mapping nor a {kind.DESCRIPTOR.name}")
    made = kind()
    for name, item in value.items():
        field = kind.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            known = ", ".join(kind.DESCRIPTOR.fields_by_name)
            raise InvalidArgument(f"{where}: there is no field {name!r}; there are {known}")
        if item is not None:
            _set(made, field, item, f"{where}.{name}")
    return made


def _set(made: Message, field: Any, item: Any, where: str) -> None:
    try:
        if field.message_type and field.message_type.GetOptions().map_entry:
            values = getattr(made, field.name)
            for key, entry in item.items():
                # The only map of messages in the contract is that of parameters.
                if field.message_type.fields_by_name["value"].message_type:
                    values[key].CopyFrom(parameter(entry))
                else:
                    values[key] = entry
        elif field.is_repeated:
            values = [_converted(field, entry, f"{where}[{at}]") for at, entry in enumerate(item)]
            getattr(made, field.name).extend(values)
        elif field.message_type:
            getattr(made, field.name).CopyFrom(_converted(field, item, where))
        else:
            setattr(made, field.name, _converted(field, item, where))
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument(f"{where}: {item!r} does not fit: {error}") from error


def _converted(field: Any, item: Any, where: str) -> Any:
    if field.enum_type is not None:
        return enum_number(field.enum_type, item, where)
    if field.message_type is None or isinstance(item, Message):
        return item
    if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
        return timestamp(item, where)
    return message(GetMessageClass(field.message_type), item, where)


def enum_number(kind: Any, item: Any, where: str) -> int:
    """The number of an enum value given by number, full name or short name in any case."""
    if isinstance(item, int):
        return item
    prefix = kind.values[0].name.removesuffix("UNSPECIFIED")
    wanted = str(item).upper().replace("-", "_")
    found = kind.values_by_name.get(wanted) or kind.values_by_name.get(prefix + wanted)
    if found is None:
        known = ", ".join(value.name.removeprefix(prefix).lower() for value in kind.values[1:])
        raise InvalidArgument(f"{where}: {item!r} is none of {known}")
    return int(found.number)


def timestamp(item: Any, where: str) -> Timestamp:
    """A point in time from a datetime with a time zone, an RFC 3339 text or seconds since 1970 (UTC)."""
    made = Timestamp()
    if isinstance(item, datetime):
        if item.tzinfo is None:
            raise InvalidArgument(f"{where}: {item!r} has no time zone; use datetime.now(UTC)")
        made.FromDatetime(item)
    elif isinstance(item, (int, float)):
        made.FromDatetime(datetime.fromtimestamp(item, UTC))
    else:
        made.FromJsonString(str(item))
    return made
