"""CatalogueService: decode, call, encode. What is compared is in `comparisons.py`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.filters.conditions import MetricKey
from registry_grpc.domain.filters.fields import MODEL_FIELDS, VERSION_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.filters.words import card_text, snippet
from registry_grpc.domain.names import ProjectName
from registry_grpc.domain.search import (
    Search,
    Visible,
    read_facets,
    read_model_order,
    read_query,
    read_version_order,
)
from registry_grpc.services import model_memory, version_memory
from registry_grpc.services.codec.enums import DIRECTION
from registry_grpc.services.codec.versions import basic_to_wire, version_to_wire
from registry_grpc.services.comparisons import ComparisonMethods, ComparisonVerbs
from registry_grpc.services.context import call_context
from registry_grpc.services.events import EVERYWHERE
from registry_grpc.services.memory import Memory
from registry_grpc.services.model_memory import ModelRecall
from registry_grpc.services.version_memory import Told, VersionRecall
from registry_grpc.usecases.search import PageAsked
from registry_grpc.usecases.selecting import DEFAULT_RUNNERS_UP, MAX_RUNNERS_UP, Objective
from registry_grpc.v1 import catalogue_pb2, catalogue_pb2_grpc
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from registry_grpc.ports.search import CandidateHit, ModelHit, SortValue, VersionHit
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Page, Pages
    from registry_grpc.usecases import search
    from registry_grpc.usecases.selecting import SelectBest


_VERSION_MATCHES = catalogue_pb2.SearchVersionsResponse.MATCHES_FIELD_NUMBER
_MODEL_MATCHES = catalogue_pb2.SearchModelsResponse.MATCHES_FIELD_NUMBER
_NEWEST_MATCH = catalogue_pb2.ModelMatch.NEWEST_MATCH_FIELD_NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueVerbs:
    """The use cases of the catalogue."""

    models: search.SearchModels
    versions: search.SearchVersions
    best: SelectBest
    comparisons: ComparisonVerbs


class CatalogueServicer(ComparisonMethods, catalogue_pb2_grpc.CatalogueServiceServicer):
    """Search, comparison, selection."""

    def __init__(self, edge: Edge, pages: Pages, verbs: CatalogueVerbs) -> None:
        """Made by the composition root."""
        super().__init__(edge, verbs.comparisons)
        self._pages = pages
        self._verbs = verbs
        self._versions_told: Memory[Told] = Memory(version_memory.MAX_BYTES)
        self._models_told: Memory[bytes] = Memory(model_memory.MAX_BYTES)

    async def SearchModels(
        self, request: catalogue_pb2.SearchModelsRequest, context: Context
    ) -> catalogue_pb2.SearchModelsResponse:
        project, visible = visible_in(request.parent, "models.list")
        # Who may list models only shall not learn of versions by asking for models that have them.
        _, of_versions = visible_in(request.parent, "versions.list")
        words = read_query(request.query)
        wanted = Search(
            visible=visible.also(of_versions) if request.version_filter.strip() else visible,
            conditions=read_filter(request.filter, MODEL_FIELDS),
            words=words,
            order=read_model_order(request.order_by, words),
            show_deleted=request.show_deleted,
        )
        text = request.version_filter
        having = read_filter(text, VERSION_FIELDS, field="version_filter") if text.strip() else None
        facets = read_facets(tuple(request.facets), MODEL_FIELDS)
        page = self._pages.open(request)
        models, recall = ModelRecall(self._models_told), VersionRecall(self._versions_told)
        found = await self._edge.read(
            lambda: self._verbs.models(
                wanted,
                having,
                facets,
                project=project,
                versions_of=of_versions,
                page=PageAsked(_place(page), page.limit, recall.has),
                known=_is_new if words else models.has,
            )
        )

        def match(hit: ModelHit) -> bytes | None:
            told = models.tell(hit, found.models)
            if told is None:
                return None
            version = None if hit.newest is None else recall.basic(hit.newest, found.versions)
            if version is not None:
                told += submessage(_NEWEST_MATCH, version)
            if words:
                model = found.models[hit.uid]
                around = snippet(words, model.description, model.display_name)
                told += catalogue_pb2.ModelMatch(snippet=around).SerializeToString()
            return submessage(_MODEL_MATCHES, told)

        matches, token = page.close(found.hits, _sort_key, match)
        rest = catalogue_pb2.SearchModelsResponse(next_page_token=token, facets=_facets(found.facets))
        return _with_matches(rest, matches)  # type: ignore[return-value] # the serializer takes bytes

    async def SearchVersions(
        self, request: catalogue_pb2.SearchVersionsRequest, context: Context
    ) -> catalogue_pb2.SearchVersionsResponse:
        project, visible = visible_in(request.parent, "versions.list")
        words = read_query(request.query)
        wanted = Search(
            visible=visible,
            conditions=read_filter(request.filter, VERSION_FIELDS),
            words=words,
            order=read_version_order(request.order_by, words),
            show_deleted=request.show_deleted,
        )
        facets = read_facets(tuple(request.facets), VERSION_FIELDS)
        is_full = request.view == catalogue_pb2.VERSION_VIEW_FULL
        with_card = is_full or bool(words)
        page, recall = self._pages.open(request), VersionRecall(self._versions_told)
        found = await self._edge.read(
            lambda: self._verbs.versions(
                wanted,
                facets,
                project=project,
                page=PageAsked(_place(page), page.limit, _is_new if with_card else recall.has),
                full=with_card,
            )
        )

        def match(hit: VersionHit) -> bytes | None:
            if not with_card:
                return recall.match(hit, found.versions)
            version = found.versions.get(hit.uid)
            if version is None:
                return None
            told = catalogue_pb2.VersionMatch(
                version=version_to_wire(version) if is_full else basic_to_wire(version),
                snippet=snippet(words, version.description, card_text(version)),
            )
            return submessage(_VERSION_MATCHES, told.SerializeToString())

        matches, token = page.close(found.hits, _sort_key, match)
        rest = catalogue_pb2.SearchVersionsResponse(next_page_token=token, facets=_facets(found.facets))
        return _with_matches(rest, matches)  # type: ignore[return-value] # the serializer takes bytes

    async def SelectBest(
        self, request: catalogue_pb2.SelectBestRequest, context: Context
    ) -> catalogue_pb2.SelectBestResponse:
        project, visible = visible_in(request.parent, "versions.list")
        text = request.filter if request.filter.strip() else "state = READY"
        wanted = Search(visible=visible, conditions=read_filter(text, VERSION_FIELDS))
        objectives = [_objective(request.objective, "objective")]
        objectives += [_objective(each, f"tie_breaks[{at}]") for at, each in enumerate(request.tie_breaks)]
        behind = request.runner_up_count or DEFAULT_RUNNERS_UP
        if behind > MAX_RUNNERS_UP:
            raise invalid_field("runner_up_count", f"is {behind}; must be 0 to {MAX_RUNNERS_UP}")
        found = await self._edge.read(lambda: self._verbs.best(wanted, objectives, project=project, limit=behind + 1))
        best, *others = [_candidate(each) for each in found.candidates]
        return catalogue_pb2.SelectBestResponse(
            best=best,
            runners_up=others,
            candidate_count=found.count,
            reason=found.reason,
            direction=DIRECTION.to_wire(found.direction),
        )


def _objective(message: catalogue_pb2.Objective, path: str) -> Objective:
    key = MetricKey(message.metric, message.dataset or None, message.dataset_version or None, message.slice)
    return Objective(key, DIRECTION.optional_from_wire(message.direction, f"{path}.direction"))


def _candidate(hit: CandidateHit) -> catalogue_pb2.Candidate:
    values = [math.nan if value is None else value for value in hit.values]
    return catalogue_pb2.Candidate(version=basic_to_wire(hit.version), values=values)


def visible_in(parent: str, permission: str) -> tuple[str, Visible]:
    """The project that must exist (empty for any), and what of it, or of all of them, the caller may search."""
    rights = call_context().rights
    if parent == EVERYWHERE:
        return "", Visible(*rights.places_with(permission))
    project = ProjectName.parse(parent, "parent").project
    models = rights.models_with(permission, project)
    if models is None:
        return project, Visible(projects=frozenset({project}))
    return project, Visible(models=frozenset((project, model) for model in models))


def _is_new(_hit: ModelHit | VersionHit) -> bool:
    """Of versions that are told with their cards, and models with a snippet: nobody remembers these."""
    return False


def _with_matches(rest: Message, matches: Sequence[bytes]) -> bytes:
    """A page of matches that are serialised: making messages of them again would take longer than finding them."""
    return b"".join([*matches, rest.SerializeToString()])


def _place(page: Page) -> list[SortValue] | None:
    """Behind what the page begins; numbers keep every digit on their way."""
    return None if page.after is None else json.loads(str(page.after[0]))


def _sort_key(hit: ModelHit | VersionHit) -> tuple[str]:
    return (json.dumps(hit.sort),)


def _facets(counted: Sequence[search.FacetCounts]) -> list[catalogue_pb2.Facet]:
    return [
        catalogue_pb2.Facet(
            field=each.facet.shown,
            values=[catalogue_pb2.FacetValue(value=one.value, count=one.count) for one in each.counts],
            truncated=each.truncated,
        )
        for each in counted
    ]
