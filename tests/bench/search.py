"""Search over 100,000 versions of 10,000 models, on both engines: what people ask, as the store answers it."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.filters.fields import MODEL_FIELDS, VERSION_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.metadata import (
    DatasetVersion,
    Dependency,
    Direction,
    Framework,
    Metadata,
    Metric,
    Parameter,
    Provenance,
)
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.search import Search, Visible, read_facets, read_query, read_version_order
from registry_grpc.storage.sql import SqlStore
from tests.contract.store.builders import TIME, model, version

if TYPE_CHECKING:
    from registry_grpc.ports.store import Reader

VERSIONS = int(os.environ.get("MREG_BENCH_SEARCHED", "100000"))
PER_MODEL = 10
_AT_ONCE = 100
_PAGE = 51
_DEFAULT = Visible(projects=frozenset({"default"}))
_TEXTS = ("Predicts fraud in card payments", "Predicts churn of customers", "Ranks offers for shops")


@dataclass(frozen=True)
class Question:
    """One thing people ask."""

    conditions: str = ""
    order: str = ""
    query: str = ""
    page: int = 1
    """Of 100 rows, in the order of names."""
    facets: tuple[str, ...] = ()
    metric: str = ""
    """What is best by it."""
    models: bool = False

    def ask(self, reader: Reader, versions: int) -> int:
        """How many rows came back."""
        words = read_query(self.query)
        fields = MODEL_FIELDS if self.models else VERSION_FIELDS
        wanted = Search(
            visible=_DEFAULT,
            conditions=read_filter("" if self.models else self.conditions, fields),
            words=words,
            order=read_version_order(self.order, words),
        )
        found: Sequence[Any]
        if self.models:
            having = read_filter(self.conditions, VERSION_FIELDS)
            found = reader.catalogue.models(wanted, having, after=None, limit=_PAGE)
            reader.catalogue.models_of([hit.uid for hit in found])
        elif self.metric:
            objective = read_version_order(f"metrics.{self.metric}", ())[0].metric
            assert objective is not None
            found = reader.catalogue.best(wanted, [(objective, Direction.MAXIMISE)], 5)
        else:
            found = reader.catalogue.versions(wanted, after=self._after(versions), limit=_PAGE)
            reader.catalogue.versions_of([hit.uid for hit in found], full=False)
        for facet in read_facets(self.facets, fields):
            reader.catalogue.version_facet(wanted, facet, 21)
        return len(found)

    def _after(self, versions: int) -> tuple[str, str, int] | None:
        at = (self.page - 1) * 100 * versions // 100_000 // PER_MODEL
        return ("default", _model_id(at), PER_MODEL) if at else None


QUESTIONS = {
    "first page": Question(),
    "900th page of 100": Question(page=900),
    "name prefix": Question("model = model-0077*"),
    "tag of 2 %": Question("tags.team = team7"),
    "tag of 5 versions": Question("tags.rare = 777"),
    "metric of half": Question("metrics.auc > 0.5"),
    "metric of one in 10,000": Question("metrics.auc > 0.9999"),
    "metric on a data set, and a tag": Question('metric("auc", "q3") > 0.99 AND tags.team = team7'),
    "package prefix": Question("dependencies.numpy = 1.*"),
    "data set": Question("training_data = data7"),
    "not": Question("NOT framework = pytorch AND owner != team7"),
    "by metric": Question(order="metrics.auc desc"),
    "by time, of a tag": Question("tags.team = team7", order="create_time desc"),
    "word of a third": Question(query="fraud"),
    "words of 7 versions": Question(query="run 4777"),
    "word and tag": Question("tags.team = team7", query="fraud"),
    "substring": Question("description:offers AND tags.region = eu"),
    "two facets of all": Question(facets=("framework", "tags.team")),
    "two facets of 2 %": Question("tags.team = team7", facets=("framework", "tags.region")),
    "models by their versions": Question("metrics.auc > 0.999", models=True),
    "the best of 2 %": Question("tags.team = team7", metric="auc"),
}


def fill(store: SqlStore, versions: int) -> None:
    """Models of ten versions each, written in bulk."""
    r = random.Random(1)
    models = range(max(1, versions // PER_MODEL))

    def work(unit: Any, first: int) -> None:
        revision = unit.advance("projects/default")
        for at in models[first : first + _AT_ONCE]:
            of = replace(
                model(_model_id(at), tags={"team": f"team{at % 50}"}, description=_TEXTS[at % 3]), revision=revision
            )
            unit.models.insert(of)
            for number in range(1, PER_MODEL + 1):
                unit.versions.insert(_version(r, of, number, at, revision))

    for first in models[::_AT_ONCE]:
        store.write(lambda unit, first=first: work(unit, first))  # type: ignore[misc] # bound now


def _version(r: random.Random, of: Any, number: int, at: int, revision: int) -> Any:
    metadata = Metadata(
        framework=Framework(r.choice(("pytorch", "sklearn", "xgboost"))),
        algorithm="gradient boosting",
        metrics=(
            Metric("auc", r.random(), "q3", "2026-09", direction=Direction.MAXIMISE),
            Metric("auc", r.random(), "q2", "2026-06", direction=Direction.MAXIMISE),
            Metric("loss", r.random(), direction=Direction.MINIMISE),
        ),
        parameters=tuple(Parameter(f"p{each}", double=r.random()) for each in range(5)),
        dependencies=tuple(
            Dependency("pypi", name, f"{r.randrange(3)}.{r.randrange(9)}") for name in ("numpy", "pandas", "scipy")
        ),
        provenance=Provenance(training_data=(DatasetVersion(f"data{r.randrange(200)}", "1"),)),
    )
    return version(
        of,
        number,
        state=VersionState.READY,
        owner=f"team{r.randrange(50)}",
        tags={
            "team": f"team{r.randrange(50)}",
            "tier": r.choice("abc"),
            "region": r.choice(("eu", "us")),
            "cost": str(r.randrange(1000)),
            "rare": str(r.randrange(20_000)),
        },
        metadata=metadata,
        description=f"{r.choice(_TEXTS)} run {r.randrange(15_000)}",
        create_time=TIME + timedelta(seconds=at * PER_MODEL + number),
        update_time=TIME,
        revision=revision,
    )


def _model_id(at: int) -> str:
    return f"model-{at:05d}"


def measure(store: SqlStore, versions: int, rounds: int) -> dict[str, float]:
    """Question to the median of its times, ms; the first time, which compiles it, is not among them."""
    return {name: _median_ms(store, question, versions, rounds) for name, question in QUESTIONS.items()}


def _median_ms(store: SqlStore, question: Question, versions: int, rounds: int) -> float:
    ask: Callable[[], int] = lambda: store.read(lambda reader: question.ask(reader, versions))  # noqa: E731 - said once
    ask()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def searches(url: str, engine: str, rounds: int) -> dict[str, float]:
    """Facts for the report."""
    store = SqlStore(url, auto_upgrade=True)
    try:
        fill(store, VERSIONS)
        return {f"search_{engine}_{name}": value for name, value in measure(store, VERSIONS, rounds).items()}
    finally:
        store.close()
