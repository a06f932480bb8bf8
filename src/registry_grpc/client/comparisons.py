"""Versions side by side, what one is made of, and its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.client.cards import read_card
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.metadata import CardLike, message
from registry_grpc.client.stages import StageCalls
from registry_grpc.client.versions import VersionCalls
from registry_grpc.v1 import catalogue_pb2, metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.client.version_fields import VersionFields
    from registry_grpc.v1 import versions_pb2

_LEAST = 2


class ComparisonCalls(VersionCalls, StageCalls):
    """Compare versions, and say what they are. Every method raises RegistryError."""

    def compare(self, *versions: str, differences_only: bool = False) -> catalogue_pb2.CompareVersionsResponse:
        """2 to 20 versions of any models and projects side by side; the first is what the others are compared with."""
        if len(versions) < _LEAST:
            raise InvalidArgument("give at least two versions to compare, e.g. fraud/6 and fraud/7")
        names = [self.version_name(version) for version in versions]
        projects = {name.partition("/models/")[0] for name in names}
        request = catalogue_pb2.CompareVersionsRequest(
            parent=projects.pop() if len(projects) == 1 else "projects/-",
            names=names,
            differences_only=differences_only,
        )
        return self._connection.read(self._connection.stubs.catalogue.CompareVersions, request)

    def bom(self, version: str) -> str:
        """What a version is made of: CycloneDX 1.6, JSON."""
        request = catalogue_pb2.ExportBillOfMaterialsRequest(name=self.version_name(version))
        return self._connection.read(self._connection.stubs.catalogue.ExportBillOfMaterials, request).document

    def card(self, version: str) -> metadata_pb2.ModelCard:
        """The card of a version in parts; its Markdown is `get_version(…).model_card`."""
        return self.get_version(self.version_name(version)).card

    def set_card(
        self, version: str, *, etag: str = "", markdown: str | None = None, **parts: str | Sequence[str]
    ) -> versions_pb2.ModelVersion:
        """The version with these parts of its card changed (`intended_use="…"`, `languages=["en"]`), others kept.

        Nobody's change is lost: Conflict when the version changed since `etag`, or since it was read here.
        """
        given = message(metadata_pb2.ModelCard, parts, "card")
        before = self.get_version(self.version_name(version))
        card = metadata_pb2.ModelCard()
        card.CopyFrom(before.card)
        for field in parts:
            card.ClearField(field)  # type: ignore[arg-type] # names of fields
        card.MergeFrom(given)
        return self._write_card(before.name, card, markdown, etag or before.etag)

    def import_card(self, version: str, text: str, *, etag: str = "") -> versions_pb2.ModelVersion:
        """The version with the card of a Markdown file in place of its own, front matter of Hugging Face included."""
        found = read_card(text)
        return self._write_card(self.version_name(version), found.card, found.markdown, etag)

    def _write_card(self, version: str, card: CardLike, markdown: str | None, etag: str) -> versions_pb2.ModelVersion:
        fields: VersionFields = {"card": card}
        if markdown is not None:
            fields["model_card"] = markdown
        return self.update_version(version, etag=etag, **fields)
