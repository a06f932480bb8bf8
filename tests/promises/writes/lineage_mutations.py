"""The mutations of LineageService: a request that will succeed, and another body for the same id."""

from collections.abc import Callable
from typing import Any

from registry_grpc.v1 import lineage_pb2
from tests.kit.catalogue import Catalogue, new_id


def _recording(catalogue: Catalogue) -> lineage_pb2.RecordRunRequest:
    return lineage_pb2.RecordRunRequest(
        parent=catalogue.parent, run_id=new_id("r"), run=lineage_pb2.Run(system="airflow")
    )


def _links() -> list[lineage_pb2.LineageEdge]:
    kind = lineage_pb2.LINEAGE_NODE_TYPE_DATASET_VERSION
    later, earlier = (lineage_pb2.LineageNode(type=kind, id=new_id("d")) for _ in range(2))
    return [lineage_pb2.LineageEdge(downstream=later, upstream=earlier)]


def record_run(catalogue: Catalogue) -> Any:
    return _recording(catalogue), {"run": lineage_pb2.Run(display_name="other")}


def delete_run(catalogue: Catalogue) -> Any:
    name = catalogue.api.lineage.RecordRun(_recording(catalogue)).name
    return lineage_pb2.DeleteRunRequest(name=name), {"etag": "other"}


def link_lineage(catalogue: Catalogue) -> Any:
    return lineage_pb2.LinkLineageRequest(parent=catalogue.parent, links=_links()), {"links": _links()}


def unlink_lineage(catalogue: Catalogue) -> Any:
    links = _links()
    catalogue.api.lineage.LinkLineage(lineage_pb2.LinkLineageRequest(parent=catalogue.parent, links=links))
    return lineage_pb2.UnlinkLineageRequest(parent=catalogue.parent, links=links), {"links": _links()}


LINEAGE_CASES: dict[str, Callable[[Catalogue], Any]] = {
    "LineageService.RecordRun": record_run,
    "LineageService.DeleteRun": delete_run,
    "LineageService.LinkLineage": link_lineage,
    "LineageService.UnlinkLineage": unlink_lineage,
}
LINEAGE_READS = {"LineageService.GetRun", "LineageService.ListRuns", "LineageService.GetLineage"}
EMPTY_LINEAGE_ANSWERS = {"LineageService.DeleteRun"}
