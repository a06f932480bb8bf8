"""What `mreg search` and `mreg best` show of what they found."""

from __future__ import annotations

import math
import shutil
import sys
from typing import TYPE_CHECKING, Any

from registry_grpc.cli.output import cell, table, when
from registry_grpc.cli.views import last, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.cli.output import Columns
    from registry_grpc.v1 import versions_pb2

SHOWN_METRICS = 3
_NARROWEST = 12


def name(match: Any) -> str:  # noqa: ANN401 -- a match of either search
    """Resource name of what was found."""
    return str(match.model.name if hasattr(match, "model") else match.version.name)


def short(resource: str, everywhere: bool) -> str:
    """A reference that can be typed: `fraud/7`, or `risk:fraud/7` where projects differ."""
    _, project, *rest = resource.split("/")
    reference = "/".join(rest[1::2])
    return f"{project}:{reference}" if everywhere else reference


def versions(everywhere: bool) -> Columns:
    """Columns of versions; the last one may be cut."""
    return {
        "version": lambda match: short(match.version.name, everywhere),
        "state": lambda match: state(match.version),
        "stage": lambda match: match.version.stage,
        "owner": lambda match: match.version.owner,
        "created": lambda match: when(match.version, "create_time"),
        "metrics": lambda match: _metrics(match.version),
        "found": lambda match: match.snippet,
    }


def models(everywhere: bool) -> Columns:
    """Columns of models; the last one may be cut."""
    return {
        "model": lambda match: short(match.model.name, everywhere),
        "owner": lambda match: match.model.owner,
        "newest": lambda match: last(match.newest_match.name),
        "stage": lambda match: match.newest_match.stage,
        "metrics": lambda match: _metrics(match.newest_match),
        "found": lambda match: match.snippet or match.model.description,
    }


def candidates(metrics: Sequence[str], everywhere: bool) -> Columns:
    """Columns of candidates, with a value for each metric that decided."""
    values: Columns = {
        metric: lambda row, at=at: "" if math.isnan(row.values[at]) else f"{row.values[at]:g}"  # type: ignore[misc] # bound now
        for at, metric in enumerate(metrics)
    }
    return {
        "version": lambda row: short(row.version.name, everywhere),
        **values,
        "stage": lambda row: row.version.stage,
        "owner": lambda row: row.version.owner,
        "created": lambda row: when(row.version, "create_time"),
    }


def _metrics(version: versions_pb2.ModelVersion) -> str:
    shown = [f"{m.name}{f'[{m.slice}]' if m.slice else ''}={m.value:g}" for m in version.metrics[:SHOWN_METRICS]]
    return ", ".join(shown) + (", …" if len(version.metrics) > SHOWN_METRICS else "")


def fitting(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table without empty columns, whose last one ends where the terminal does; into a pipe everything goes."""
    texts = [[cell(value) for value in row] for row in rows]
    kept = [at for at in range(len(headings)) if at == 0 or any(row[at] for row in texts)]
    headings, texts = [headings[at] for at in kept], [[row[at] for at in kept] for row in texts]
    if not texts or not sys.stdout.isatty():
        return table(headings, texts)
    widths = [max(len(row[at]) for row in [headings, *texts]) + 2 for at in range(len(kept) - 1)]
    room = max(_NARROWEST, shutil.get_terminal_size().columns - sum(widths))
    return table(headings, [[*row[:-1], _cut(row[-1], room)] for row in texts])


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
