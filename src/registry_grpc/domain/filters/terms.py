"""What can be searched of a version beyond its columns, as rows: a field, a key, and a text or a number."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.metadata import CodeRevision, Provenance, Signature, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from registry_grpc.domain.metadata import DatasetVersion, Metric, Parameter
    from registry_grpc.domain.resources import Version

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Term(NamedTuple):
    """One value of a field."""

    field: str
    key: str = ""
    """Of a field with keys."""
    text: str | None = None
    number: float | None = None
    """Finite."""
    flag: bool | None = None


def terms_of(version: Version) -> list[Term]:
    """The terms of a version, each once. What is empty has none."""
    return list(dict.fromkeys(_all(version)))


def tag_terms(tags: Mapping[str, str]) -> Iterable[Term]:
    """The terms of tags, whose values may be empty."""
    return (Term("tags", name, text) for name, text in tags.items())


def newest_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """The newest value for each name, data set, version of it and slice; of several as new, the last one."""
    newest: dict[tuple[str, str, str, str], Metric] = {}
    for metric in metrics:
        place = (metric.name, metric.dataset, metric.dataset_version, metric.slice)
        held = newest.get(place)
        if held is None or (metric.measure_time or _LONG_AGO) >= (held.measure_time or _LONG_AGO):
            newest[place] = metric
    return list(newest.values())


def _all(version: Version) -> Iterator[Term]:
    metadata = version.metadata
    signature, provenance = metadata.signature or Signature(), metadata.provenance or Provenance()
    yield from tag_terms(version.tags)
    yield from _words(
        ("owner", version.owner),
        ("creator", version.creator),
        ("framework", metadata.framework.name if metadata.framework else ""),
        ("framework.version", metadata.framework.version if metadata.framework else ""),
        ("algorithm", metadata.algorithm),
        ("task", metadata.task),
        ("domain", metadata.domain),
    )
    yield from _from_provenance(provenance)
    yield from (Term("dependencies", each.name, each.version) for each in metadata.dependencies)
    yield from (Term("inputs", each.name, each.data_type.value) for each in signature.inputs)
    yield from (Term("outputs", each.name, each.data_type.value) for each in signature.outputs)
    yield from (_parameter(each) for each in metadata.parameters)
    yield from _words(*(("formats", each.name) for each in version.formats))
    if version.card is not None:
        yield from _words(("card.license", version.card.license))
        yield from _words(*(("card.languages", each) for each in version.card.languages))
    if any(each.executable for each in version.formats):
        yield Term("executable", flag=True)


def _words(*pairs: tuple[str, str]) -> Iterator[Term]:
    return (Term(field, text=text) for field, text in pairs if text)


def _from_provenance(provenance: Provenance) -> Iterator[Term]:
    code, run = provenance.code or CodeRevision(), provenance.training_run or TrainingRun()
    yield from _words(("code.repository", code.repository), ("code.revision", code.revision), ("run.id", run.id))
    for data in provenance.training_data:
        yield from _words(*(("training_data", text) for text in _names_of(data)))
    for parent in provenance.parents:
        yield from _words(("parents", parent.version), ("parents", parent.uri))


def _names_of(data: DatasetVersion) -> Iterator[str]:
    yield data.name
    if data.version:
        yield f"{data.name}@{data.version}"
    yield data.digest


def _parameter(parameter: Parameter) -> Term:
    number = parameter.double if parameter.double is not None else parameter.int64
    return Term(
        "parameters",
        parameter.name,
        text=parameter.text,
        number=float(number) if number is not None and math.isfinite(number) else None,
        flag=parameter.boolean,
    )
