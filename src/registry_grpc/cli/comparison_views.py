"""What `mreg compare` and `mreg deps` show."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from registry_grpc.cli.output import cell, short_enum, size, table
from registry_grpc.cli.search_views import short
from registry_grpc.cli.views import state
from registry_grpc.v1 import metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from registry_grpc.cli.output import Columns
    from registry_grpc.v1 import catalogue_pb2

_NARROWEST = 12
PACKAGES: Columns = {
    "ecosystem": lambda each: each.ecosystem,
    "package": lambda each: each.name,
    "version": lambda each: each.version or "any",
    "marker": lambda each: each.marker,
}


def package(each: metadata_pb2.Dependency) -> str:
    """`pypi:numpy`."""
    return f"{each.ecosystem}:{each.name}"


def users(names: Sequence[str], everywhere: bool) -> Columns:
    """Columns of versions that need a package, which has one of these names."""
    return {
        "version": lambda match: short(match.version.name, everywhere),
        "state": lambda match: state(match.version),
        "stage": lambda match: match.version.stage,
        "owner": lambda match: match.version.owner,
        names[0]: lambda match: [each.version or "any" for each in match.version.dependencies if each.name in names],
    }


def tables(found: catalogue_pb2.CompareVersionsResponse) -> str:
    """A table for each part that says something, one column a version."""
    apart = len({version.name.split("/")[1] for version in found.versions}) > 1
    names = [short(version.name, apart) for version in found.versions]
    shown = [
        _table("field", names, ([row.field, *row.values] for row in found.fields)),
        _table("metric", names, ([_metric(row), *_cells(row)] for row in found.metrics)),
        _table("parameter", names, ([row.field, *row.values] for row in found.parameters)),
        _table("package", names, ([row.field, *row.values] for row in found.dependencies)),
        _table("evidence", names, ([row.field, *row.values] for row in found.evidence)),
        *_signatures(found, apart),
        *_files(found, apart),
    ]
    return "\n\n".join(part for part in shown if part) or "nothing differs"


def _table(heading: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells share the width of a terminal; into a pipe everything goes."""
    texts = [[cell(value) for value in row] for row in rows]
    if not texts:
        return ""
    if sys.stdout.isatty():
        first = max(len(text) for text in [heading, *(row[0] for row in texts)])
        room = max(_NARROWEST, (shutil.get_terminal_size().columns - first) // len(names) - 2)
        texts = [[row[0], *(_cut(text, room) for text in row[1:])] for row in texts]
    return table([heading, *names], texts)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _metric(row: catalogue_pb2.ComparedMetric) -> str:
    on = "@".join(filter(None, (row.dataset, row.dataset_version)))
    way = short_enum(metadata_pb2.Metric.Direction, row.direction, "DIRECTION_") if row.direction else ""
    arrow = {"maximise": " ↑", "minimise": " ↓"}.get(way, "")
    return row.name + (f" on {on}" if on else "") + (f" [{row.slice}]" if row.slice else "") + arrow


def _cells(row: catalogue_pb2.ComparedMetric) -> Iterator[str]:
    """`0.95 (+0.05) *`: the value, what it is more, and a star at the best."""
    for at, each in enumerate(row.cells):
        if not each.HasField("value"):
            yield ""
            continue
        delta = f" ({each.delta:+.4g})" if each.HasField("delta") and each.delta else ""
        worse = " !" if each.HasField("better") and not each.better else ""
        yield f"{each.value:g}{delta}{worse}{' *' if at == row.best and row.differs else ''}"


def _signatures(found: catalogue_pb2.CompareVersionsResponse, apart: bool) -> Iterator[str]:
    base = short(found.versions[0].name, apart)
    for each in found.signatures:
        name = short(each.version, apart)
        if not each.compatible:
            yield cell(f"{name}: callers of {base} cannot go on: {each.reason}")
        changes = [f"+ {text}" for text in each.added] + [f"- {text}" for text in each.removed]
        changes += [f"~ {text}" for text in each.changed]
        if changes:
            yield f"{name}, inputs and outputs:\n" + "\n".join(f"  {cell(text)}" for text in changes)


def _files(found: catalogue_pb2.CompareVersionsResponse, apart: bool) -> Iterator[str]:
    for each in found.files:
        changes = [f"~ {path}" for path in each.changed] + [f"+ {path}" for path in each.added]
        changes += [f"- {path}" for path in each.removed]
        if each.truncated:
            changes.append("…")
        head = f"{short(each.version, apart)}, files: {each.same_count} the same, {size(each.shared_bytes)} shared"
        yield "\n".join([head, *(f"  {cell(text)}" for text in changes)])
