"""Search: versions and models by what is known of them, and the best version by a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.metadata import enum_number, message
from registry_grpc.client.session import Session
from registry_grpc.v1 import catalogue_pb2, metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    ObjectiveLike = str | Mapping[str, Any] | catalogue_pb2.Objective

EVERY_PROJECT = "-"
"""In place of a project: all that the caller may see."""
_Match = TypeVar("_Match")


class Found(Generic[_Match]):
    """Iterates over matches, fetching pages as they are needed; may be iterated again."""

    def __init__(self, fetch: Callable[[str], Any]) -> None:
        self._fetch = fetch
        self._first: Any = None

    def __iter__(self) -> Iterator[_Match]:
        page = self._page()
        while True:
            yield from page.matches
            if not page.next_page_token:
                return
            page = self._fetch(page.next_page_token)

    @property
    def facets(self) -> Sequence[catalogue_pb2.Facet]:
        """How often values occur among all that was found, in the order asked for."""
        return list(self._page().facets)

    def _page(self) -> Any:  # noqa: ANN401 -- the answer of either search
        if self._first is None:
            self._first = self._fetch("")
        return self._first


class SearchCalls(Session):
    """Search the catalogue. Filters, orders and facets are described in docs/catalogue.md."""

    def search(
        self,
        query: str = "",
        *,
        filter: str = "",  # noqa: A002 -- the contract's word
        order_by: str = "",
        facets: Iterable[str] = (),
        project: str | None = None,
        show_deleted: bool = False,
        full: bool = False,
        page_size: int = 0,
    ) -> Found[catalogue_pb2.VersionMatch]:
        """Versions of any model; with `full` also their cards, annotations and dependencies."""
        view = catalogue_pb2.VERSION_VIEW_FULL if full else catalogue_pb2.VERSION_VIEW_BASIC
        wanted = catalogue_pb2.SearchVersionsRequest(
            parent=self._searched(project),
            query=query,
            filter=filter,
            order_by=order_by,
            facets=list(facets),
            show_deleted=show_deleted,
            view=view,
            page_size=page_size,
        )

        def fetch(token: str) -> catalogue_pb2.SearchVersionsResponse:
            wanted.page_token = token
            return self._connection.read(self._connection.stubs.catalogue.SearchVersions, wanted)

        return Found[catalogue_pb2.VersionMatch](fetch)

    def search_models(
        self,
        query: str = "",
        *,
        filter: str = "",  # noqa: A002 -- the contract's word
        version_filter: str = "",
        order_by: str = "",
        facets: Iterable[str] = (),
        project: str | None = None,
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> Found[catalogue_pb2.ModelMatch]:
        """Models; `version_filter` is what one of their versions must fulfil."""
        wanted = catalogue_pb2.SearchModelsRequest(
            parent=self._searched(project),
            query=query,
            filter=filter,
            version_filter=version_filter,
            order_by=order_by,
            facets=list(facets),
            show_deleted=show_deleted,
            page_size=page_size,
        )

        def fetch(token: str) -> catalogue_pb2.SearchModelsResponse:
            wanted.page_token = token
            return self._connection.read(self._connection.stubs.catalogue.SearchModels, wanted)

        return Found[catalogue_pb2.ModelMatch](fetch)

    def best(
        self,
        metric: str,
        *,
        filter: str = "",  # noqa: A002 -- the contract's word
        data: str = "",
        slice: str = "",  # noqa: A002 -- the contract's word
        direction: str | int = 0,
        tie_breaks: Iterable[ObjectiveLike] = (),
        runners_up: int = 0,
        project: str | None = None,
    ) -> catalogue_pb2.SelectBestResponse:
        """The version with the best value of `metric` among READY ones, or those of `filter`, and why it is that one.

        `data` is a data set, or `name@version`; `direction` is `maximise` or `minimise`, and what the metrics say when
        it is left out. A tie-break is the name of a metric, or a mapping with the fields of an Objective.

        Raises: NotFound when no version has the metric; FailedPrecondition when the direction is not known.
        """
        dataset, _, version = data.rpartition("@") if "@" in data else (data, "", "")
        kind = metadata_pb2.Metric.Direction.DESCRIPTOR
        way: Any = enum_number(kind, direction, "direction") if direction else 0
        objective = catalogue_pb2.Objective(
            metric=metric, dataset=dataset, dataset_version=version, slice=slice, direction=way
        )
        request = catalogue_pb2.SelectBestRequest(
            parent=self._searched(project),
            objective=objective,
            tie_breaks=[_objective(each) for each in tie_breaks],
            filter=filter,
            runner_up_count=runners_up,
        )
        return self._connection.read(self._connection.stubs.catalogue.SelectBest, request)

    def _searched(self, project: str | None) -> str:
        return "projects/-" if project in {EVERY_PROJECT, "projects/-"} else self.project_name(project)


def _objective(value: ObjectiveLike) -> catalogue_pb2.Objective:
    if isinstance(value, catalogue_pb2.Objective):
        return value
    if isinstance(value, str):
        return catalogue_pb2.Objective(metric=value)
    if not value.get("metric"):
        raise InvalidArgument(f"the tie-break {dict(value)!r} names no metric")
    return message(catalogue_pb2.Objective, dict(value), "tie_breaks")
