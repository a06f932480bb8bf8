"""Asking the catalogue of a real server: what a search finds, as numbers and ids a test can write down."""

from collections.abc import Sequence
from typing import Any

from registry_grpc.v1 import catalogue_pb2, metadata_pb2
from tests.kit.server import Api


class Searcher:
    """Searches one project, or all of them, as whoever `api` belongs to."""

    def __init__(self, api: Api, parent: str) -> None:
        """`parent` may be `projects/-`."""
        self.stub = api.catalogue
        self.parent = parent

    def versions(self, text: str = "", **fields: Any) -> catalogue_pb2.SearchVersionsResponse:
        """One page."""
        request = catalogue_pb2.SearchVersionsRequest(**({"parent": self.parent, "filter": text} | fields))
        return self.stub.SearchVersions(request)

    def models(self, text: str = "", **fields: Any) -> catalogue_pb2.SearchModelsResponse:
        """One page."""
        request = catalogue_pb2.SearchModelsRequest(**({"parent": self.parent, "filter": text} | fields))
        return self.stub.SearchModels(request)

    def found(self, text: str = "", **fields: Any) -> list[str]:
        """Names of the versions of one page, `model/number`."""
        return [short(match.version.name) for match in self.versions(text, **fields).matches]

    def found_models(self, text: str = "", **fields: Any) -> list[str]:
        """Ids of the models of one page."""
        return [match.model.name.rpartition("/")[2] for match in self.models(text, **fields).matches]

    def best(
        self, metric: str, text: str = "", tie_breaks: Sequence[Any] = (), count: int = 0, **objective: Any
    ) -> catalogue_pb2.SelectBestResponse:
        """A selection."""
        request = catalogue_pb2.SelectBestRequest(
            parent=self.parent,
            objective=catalogue_pb2.Objective(metric=metric, **objective),
            filter=text,
            tie_breaks=tie_breaks,
            runner_up_count=count,
        )
        return self.stub.SelectBest(request)


def short(name: str) -> str:
    """`model/number` of the name of a version."""
    _, _, rest = name.partition("/models/")
    return rest.replace("/versions/", "/")


def metric(name: str, value: float, **fields: Any) -> metadata_pb2.Metric:
    """One value."""
    return metadata_pb2.Metric(name=name, value=value, **fields)
