"""CompareVersions and ExportBillOfMaterials, which `CatalogueServicer` inherits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.bom import MEDIA_TYPE, bill_of_materials
from registry_grpc.domain.names import ProjectName, VersionName
from registry_grpc.services.codec.comparisons import comparison_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.events import EVERYWHERE
from registry_grpc.v1 import catalogue_pb2

if TYPE_CHECKING:
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.usecases.compare import CompareVersions, GetParts, May


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonVerbs:
    """The use cases."""

    compare: CompareVersions
    parts: GetParts


class ComparisonMethods:
    """Versions side by side, and what one is made of."""

    def __init__(self, edge: Edge, comparisons: ComparisonVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._comparisons = comparisons

    async def CompareVersions(
        self, request: catalogue_pb2.CompareVersionsRequest, context: Context
    ) -> catalogue_pb2.CompareVersionsResponse:
        project = "" if request.parent == EVERYWHERE else ProjectName.parse(request.parent, "parent").project
        names = [VersionName.parse(name, f"names[{at}]") for at, name in enumerate(request.names)]
        may = _may()
        # Large tables take a while to encode, too.
        return await self._edge.read(
            lambda: comparison_to_wire(
                self._comparisons.compare(names, project=project, may=may, differences_only=request.differences_only)
            )
        )

    async def ExportBillOfMaterials(
        self, request: catalogue_pb2.ExportBillOfMaterialsRequest, context: Context
    ) -> catalogue_pb2.ExportBillOfMaterialsResponse:
        name = VersionName.parse(request.name)
        may = _may()

        def document() -> str:
            parts = self._comparisons.parts(name, may=may)
            return bill_of_materials(parts.version, parts.files)

        found = await self._edge.read(document)
        return catalogue_pb2.ExportBillOfMaterialsResponse(document=found, media_type=MEDIA_TYPE)


def _may() -> May:
    """What the caller of this call may do."""
    rights = call_context().rights
    return lambda permission, name: rights.find(permission, name.project, name.model) is not None
