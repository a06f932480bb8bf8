"""Versions side by side, to the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.codec.enums import DIRECTION
from registry_grpc.services.codec.versions import basic_to_wire
from registry_grpc.v1 import catalogue_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_grpc.domain.compare import Comparison, MetricRow, Row
    from registry_grpc.domain.compare_content import Content, FileChange


def comparison_to_wire(found: Comparison) -> catalogue_pb2.CompareVersionsResponse:
    """The answer of CompareVersions."""
    return catalogue_pb2.CompareVersionsResponse(
        versions=[basic_to_wire(version) for version in found.versions],
        fields=_rows(found.fields),
        metrics=[_metric(row) for row in found.metrics],
        parameters=_rows(found.parameters),
        dependencies=_rows(found.dependencies),
        signatures=[_signature(each) for each in found.content],
        files=[_files(str(each.version.name), each.files) for each in found.content if each.files is not None],
        evidence=_rows(found.findings),
    )


def _rows(rows: Iterable[Row]) -> list[catalogue_pb2.ComparedField]:
    return [catalogue_pb2.ComparedField(field=row.field, values=row.values, differs=row.differs) for row in rows]


def _metric(row: MetricRow) -> catalogue_pb2.ComparedMetric:
    return catalogue_pb2.ComparedMetric(
        name=row.name,
        dataset=row.dataset,
        dataset_version=row.dataset_version,
        slice=row.slice,
        direction=DIRECTION.to_wire(row.direction),
        cells=[catalogue_pb2.MetricCell(value=cell.value, delta=cell.delta, better=cell.better) for cell in row.cells],
        best=row.best,
        differs=row.differs,
    )


def _signature(content: Content) -> catalogue_pb2.ComparedSignature:
    change = content.signature
    return catalogue_pb2.ComparedSignature(
        version=str(content.version.name),
        compatible=not change.reason,
        added=change.added,
        removed=change.removed,
        changed=change.changed,
        reason=change.reason,
    )


def _files(version: str, change: FileChange) -> catalogue_pb2.ComparedFiles:
    return catalogue_pb2.ComparedFiles(
        version=version,
        same_count=change.same_count,
        changed=change.changed,
        added=change.added,
        removed=change.removed,
        shared_bytes=change.shared_bytes,
        truncated=change.truncated,
    )
