"""Versions side by side: what each says, row by row. The first is what the others are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry_grpc.domain.compare_content import content_of
from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.filters.terms import newest_metrics
from registry_grpc.domain.metadata import CodeRevision, Direction, Framework, ModelCard, Provenance, TrainingRun
from registry_grpc.domain.packages import normalised_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from registry_grpc.domain.compare_content import Content
    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.metadata import DatasetVersion, Metric, Parameter
    from registry_grpc.domain.resources import Version

MIN_COMPARED = 2
MAX_COMPARED = 20
MAX_CELLS = 200_000
"""Rows times versions of one table: twenty environments of 500 packages that have none in common."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the versions, with what is not in its row."""

    version: Version
    files: Mapping[str, Digest] | None = None
    """Digests by path; None when they are not told."""
    findings: Mapping[str, str] = field(default_factory=dict)
    """What was found or approved, and how it came out."""


@dataclass(frozen=True, slots=True)
class Row:
    """What each version says of a field, in their order; empty for nothing."""

    field: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Not all are equal."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class Cell:
    """What one version has of a metric; None where nothing can be said."""

    value: float | None = None
    delta: float | None = None
    """Minus the value of the first version."""
    better: bool | None = None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What each version has of a metric, in their order."""

    name: str
    dataset: str
    dataset_version: str
    slice: str
    direction: Direction | None
    cells: tuple[Cell, ...]
    best: int
    """Index of the best version; -1 when that cannot be told."""

    @property
    def differs(self) -> bool:
        """Not all are equal; NaN equals itself here."""
        return len({repr(cell.value) for cell in self.cells}) > 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tables."""

    versions: tuple[Version, ...]
    fields: Sequence[Row]
    metrics: Sequence[MetricRow]
    parameters: Sequence[Row]
    dependencies: Sequence[Row]
    content: Sequence[Content]
    """One for each version but the first."""
    findings: Sequence[Row]


def compared(sides: Sequence[Side], *, differences_only: bool = False) -> Comparison:
    """The versions side by side; what none of them says has no row.

    Raises: INVALID_FIELD for a table that is too large.
    """
    versions = [side.version for side in sides]

    def table(named: str, of: Callable[[Version], Mapping[str, str]]) -> list[Row]:
        return _table(named, [of(version) for version in versions], differences_only=differences_only)

    metrics = _metrics(versions)
    return Comparison(
        versions=tuple(versions),
        fields=table("fields", lambda version: dict(_fields(version))),
        metrics=[row for row in metrics if row.differs or not differences_only],
        parameters=table("parameters", lambda version: {one.name: _shown(one) for one in version.metadata.parameters}),
        dependencies=table("dependencies", _packages),
        content=[content_of((sides[0].version, sides[0].files), (side.version, side.files)) for side in sides[1:]],
        findings=_table("evidence", [dict(side.findings) for side in sides], differences_only=differences_only),
    )


def _table(named: str, columns: Sequence[Mapping[str, str]], *, differences_only: bool) -> list[Row]:
    """Rows in the order in which the first version, then the second … names them; parts of one field stay together."""
    order = list(dict.fromkeys(field for column in columns for field, value in column.items() if value))
    _require_readable(named, len(order), len(columns))
    rows = [Row(field, tuple(column.get(field, "") for column in columns)) for field in order]
    return [row for row in rows if row.differs or not differences_only]


def _require_readable(named: str, rows: int, versions: int) -> None:
    if rows * versions > MAX_CELLS:
        raise invalid_field(
            "names",
            f"{versions} versions with {rows} {named} between them are more than can be shown; the limit is "
            f"{MAX_CELLS} values, compare fewer of them",
        )


def _fields(version: Version) -> Iterator[tuple[str, str]]:
    metadata, card = version.metadata, version.card or ModelCard()
    framework, provenance = metadata.framework or Framework(""), metadata.provenance or Provenance()
    code, run = provenance.code or CodeRevision(), provenance.training_run or TrainingRun()
    yield "state", version.state.value
    yield "stage", version.stage
    yield "aliases", ", ".join(version.aliases)
    yield "version_label", version.version_label
    yield "owner", version.owner
    yield "creator", version.creator
    yield "description", version.description
    yield "framework", "==".join(filter(None, (framework.name, framework.version)))
    yield "algorithm", metadata.algorithm
    yield "task", metadata.task
    yield "domain", metadata.domain
    yield "training_data", ", ".join(_data(each) for each in provenance.training_data)
    yield "preprocessing", ", ".join(_at(each.name, each.version) for each in provenance.preprocessing)
    yield "parents", ", ".join(f"{each.relation.value} {each.version or each.uri}" for each in provenance.parents)
    yield "code.repository", code.repository
    yield "code.revision", code.revision + (" (dirty)" if code.dirty else "")
    yield "code.path", code.path
    yield "run.id", run.id
    yield "run.hardware", run.hardware
    yield "formats", ", ".join(each.name for each in version.formats)
    yield "file_count", str(version.file_count)
    yield "total_size_bytes", str(version.total_size_bytes)
    yield "manifest_digest", version.manifest_digest
    yield "card.license", card.license
    yield "card.languages", ", ".join(card.languages)
    for key in sorted(version.tags):
        # A tag without a value is there all the same.
        yield f"tags.{key}", version.tags[key] or "(set)"


def _data(each: DatasetVersion) -> str:
    return _at(each.name, each.version) + (f" ({each.role.value})" if each.role else "")


def _at(name: str, version: str) -> str:
    return f"{name}@{version}" if version else name


def _shown(parameter: Parameter) -> str:
    if parameter.boolean is not None:
        return "true" if parameter.boolean else "false"
    value = parameter.double if parameter.double is not None else parameter.int64
    # As they were written: 0.1 and not 0.1000000000000000055.
    return repr(value) if value is not None else parameter.text or '""'


def _packages(version: Version) -> dict[str, str]:
    """Versions of packages by ecosystem and name; of one that is there for several platforms all of them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in sorted(version.metadata.dependencies, key=lambda one: (one.ecosystem, one.name, one.version)):
        name = normalised_package(each.ecosystem, each.name)
        shown = each.version or "any"
        found[f"{each.ecosystem}:{name}"].append(f"{shown} ; {each.marker}" if each.marker else shown)
    return {name: " | ".join(dict.fromkeys(versions)) for name, versions in found.items()}


def _metrics(versions: Sequence[Version]) -> list[MetricRow]:
    columns = [{_place(metric): metric for metric in newest_metrics(one.metadata.metrics)} for one in versions]
    places = sorted({place for column in columns for place in column})
    _require_readable("metrics", len(places), len(versions))
    return [_metric_row(place, [column.get(place) for column in columns]) for place in places]


def _place(metric: Metric) -> tuple[str, str, str, str]:
    return metric.name, metric.dataset, metric.dataset_version, metric.slice


def _metric_row(place: tuple[str, str, str, str], metrics: Sequence[Metric | None]) -> MetricRow:
    said = {metric.direction for metric in metrics if metric is not None and metric.direction is not None}
    direction = said.pop() if len(said) == 1 else None
    values = [None if metric is None else metric.value for metric in metrics]
    cells = tuple(_cell(value, values[0] if at else None, direction) for at, value in enumerate(values))
    return MetricRow(*place, direction, cells, _best(values, direction))


def _cell(value: float | None, base: float | None, direction: Direction | None) -> Cell:
    """`base` None for the first version, and where it has no value."""
    if value is None or base is None or math.isnan(value - base):
        return Cell(value)
    delta = value - base
    if not delta or direction is None:
        return Cell(value, delta)
    return Cell(value, delta, (delta > 0) == (direction is Direction.MAXIMISE))


def _best(values: Sequence[float | None], direction: Direction | None) -> int:
    """Of several that are equal the first."""
    told = [(at, value) for at, value in enumerate(values) if value is not None and not math.isnan(value)]
    if direction is None or len(told) < MIN_COMPARED:
        return -1
    sign = 1 if direction is Direction.MAXIMISE else -1
    return max(told, key=lambda one: sign * one[1])[0]
