"""stdout: tables for people, JSON and YAML for programs, names for shells.

JSON and YAML have the contract's field names in snake_case; fields that are not set are left out. 64 bit integers are
numbers up to 2^53 - 1, which every JSON reader keeps exactly, and strings above; enums are their full names, times
RFC 3339, NaN and infinity the strings `NaN`, `Infinity`, `-Infinity`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from registry_grpc.cli.context import Output

SAFE_INTEGER = 2**53 - 1
Columns = Mapping[str, Callable[[Any], object]]
"""Heading to what stands under it for one item."""


def plain(message: Message) -> dict[str, Any]:
    """`message` as plain values, in the form of the module docstring."""
    made: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    _with_numbers(message.DESCRIPTOR, made)
    return made


def _with_numbers(descriptor: Any, values: dict[str, Any]) -> None:  # noqa: ANN401 -- two classes of descriptors
    for field in descriptor.fields:
        value = values.get(field.name)
        if value is None:
            continue
        entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        if entry is not None:
            kind = entry.fields_by_name["value"]
            for key, item in value.items():
                value[key] = _converted(kind, item)
        elif isinstance(value, list):
            values[field.name] = [_converted(field, item) for item in value]
        else:
            values[field.name] = _converted(field, value)


def _converted(field: Any, value: Any) -> Any:  # noqa: ANN401 -- whatever a field holds
    if field.message_type is not None:
        if isinstance(value, dict):
            _with_numbers(field.message_type, value)
        return value
    wide = field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64}
    return int(value) if wide and abs(int(value)) <= SAFE_INTEGER else value


def show_list(output: Output, items: Iterable[Message], columns: Columns, name: Callable[[Any], str]) -> None:
    """Print items: a table with `columns`, one name a line, or a JSON or YAML list."""
    if output is Output.NAME:
        for item in items:
            print(name(item))
    elif output is Output.TABLE:
        print(table(list(columns), [[column(item) for column in columns.values()] for item in items]))
    else:
        data(output, [plain(item) for item in items])


def show_one(output: Output, item: Message, columns: Columns, name: Callable[[Any], str]) -> None:
    """Print one item: its fields one a line, its name, or JSON or YAML."""
    if output is Output.NAME:
        print(name(item))
    elif output is Output.TABLE:
        pairs = [(heading, text) for heading, column in columns.items() if (text := cell(column(item)))]
        width = max((len(heading) for heading, _ in pairs), default=0)
        for heading, text in pairs:
            print(f"{heading.ljust(width)}  {text}")
    else:
        data(output, plain(item))


def data(output: Output, value: object) -> None:
    """Print plain values as YAML, else as JSON."""
    if output is Output.YAML:
        import yaml

        yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True)
    else:
        print(json.dumps(value, indent=2, ensure_ascii=False))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Aligned columns two spaces apart; nothing is cut off, so that what is shown can be copied."""
    lines = [[heading.upper() for heading in headings], *([cell(value) or "-" for value in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(headings))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def cell(value: object) -> str:
    """One value for people, on one line and without control characters: a server must not drive the terminal."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}={value[key]}" for key in sorted(value))
    elif isinstance(value, (list, tuple)):
        text = ", ".join(str(item) for item in value)
    else:
        text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def when(message: Any, field: str) -> str:  # noqa: ANN401 -- any message with a timestamp
    """A timestamp as `2026-11-21 03:04:05Z`; empty when it is not set."""
    if not message.HasField(field):
        return ""
    return f"{getattr(message, field).ToDatetime():%Y-%m-%d %H:%M:%SZ}"


def size(count: int) -> str:
    """Bytes for people: `512 B`, `1.5 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 -- units of bytes
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def short_enum(kind: Any, number: int, prefix: str) -> str:  # noqa: ANN401 -- any enum wrapper
    """The short name of an enum value, lower case; its number when this client does not know it."""
    return str(kind.Name(number)).removeprefix(prefix).lower() if number in kind.values() else str(number)
