"""Search beside MLflow: a page of 100 over each one's API, on one PostgreSQL, one client.

Neither client takes its answers apart: hey does not read JSON, and ours keeps the bytes. (ghz makes messages of them by
reflection, which takes twice as long as our server takes to find and make them.)

MLflow has 10,000 models of one version, filled by SQL as its store would; we have the 100,000 versions of 10,000 models
of `search`. It cannot filter versions by a metric, so there is no such row.
"""

from __future__ import annotations

import base64
import json
import random
import time
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import psycopg

from registry_grpc.v1 import catalogue_pb2
from tests.bench.harness import Comparison, Load, Sample, compare
from tests.bench.peers import Mlflow, mlflow
from tests.kit.engines import fresh_database
from tests.kit.server import distributed, running

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tests.kit.engines import Bucket
    from tests.kit.server import RegistryServer

MODELS = 10_000
PAGE = 100
DEEP = 900
"""Page of ours that is far behind; there the models and versions of MLflow have ended, so theirs is the 90th."""
SECONDS = 5
_PEER = "MLflow, 10,000 models"


def searches_beside(url: str, bucket: Bucket, postgres_url: str, rounds: int) -> list[Comparison]:
    """`url` is of a database that `search.fill` filled."""
    with (
        fresh_database(postgres_url) as theirs,
        mlflow(theirs, workers=1) as peer,
        running(distributed(url, bucket)) as server,
    ):
        fill(theirs)
        load = Load(seconds=SECONDS, concurrency=1)
        deep = _token(server)

        def versions(**request: Any) -> Callable[[], Sample]:
            wanted = catalogue_pb2.SearchVersionsRequest(parent="projects/default", page_size=PAGE, **request)
            return lambda: _called(server, "SearchVersions", wanted)

        def models(**request: Any) -> Callable[[], Sample]:
            wanted = catalogue_pb2.SearchModelsRequest(parent="projects/default", page_size=PAGE, **request)
            return lambda: _called(server, "SearchModels", wanted)

        def asked(path: str, **query: object) -> Callable[[], Sample]:
            return lambda: _asked(peer, path, {"max_results": PAGE, **query}, load)

        rows = {
            "search models by name prefix": (
                asked("registered-models", filter="name LIKE 'model-0077%'"),
                models(filter="model = model-0077*"),
            ),
            "search versions by tag, a page of 100": (
                asked("model-versions", filter="tags.team = 'team7'"),
                versions(filter="tags.team = team7"),
            ),
            "list versions, first page of 100": (asked("model-versions"), versions()),
            "list versions, the 90th page of theirs, the 900th of ours": (
                asked("model-versions", page_token=_offset(89 * PAGE)),
                versions(page_token=deep),
            ),
        }
        return [
            compare(
                f"{name}, 1 client",
                "calls/s",
                {_PEER: theirs_asked, "100,000 versions here": ours_asked},
                limit=_PEER,
                goal="≥ 10x",
                rounds=rounds,
            )
            for name, (theirs_asked, ours_asked) in rows.items()
        ]


def fill(database_url: str) -> None:
    """What MLflow's own store would have written for 10,000 models of one version, each with five tags."""
    r = random.Random(1)
    with psycopg.connect(database_url.replace("postgresql+psycopg://", "postgresql://", 1)) as connection:
        cursor = connection.cursor()
        names = [f"model-{at:05d}" for at in range(MODELS)]
        tags = {name: _tags(r) for name in names}
        for table, columns, rows in (
            ("registered_models", "name, creation_time, last_updated_time", ((name, 1, 1) for name in names)),
            (
                "model_versions",
                "name, version, creation_time, last_updated_time, source, status, current_stage, description",
                ((name, 1, 1, 1, "s3://models", "READY", "None", "Predicts fraud in card payments") for name in names),
            ),
            (
                "model_version_tags",
                "name, version, key, value",
                ((name, 1, key, value) for name in names for key, value in tags[name].items()),
            ),
        ):
            with cursor.copy(f"COPY {table} ({columns}, workspace) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*row, "default"))
        connection.commit()
        connection.autocommit = True
        # By hand, or it would be done in the background of the first rows.
        cursor.execute("VACUUM ANALYZE")


def _tags(r: random.Random) -> dict[str, str]:
    return {
        "team": f"team{r.randrange(50)}",
        "tier": r.choice("abc"),
        "region": r.choice(("eu", "us")),
        "cost": str(r.randrange(1000)),
        "rare": str(r.randrange(20_000)),
    }


def _asked(peer: Mlflow, path: str, query: dict[str, object], load: Load) -> Sample:
    return peer.load(f"{path}/search?{urllib.parse.urlencode(query)}", load)


def _called(server: RegistryServer, method: str, request: Message) -> Sample:
    """One call after the other for `SECONDS`."""
    message, times = request.SerializeToString(), []
    with grpc.insecure_channel(server.endpoint) as channel:
        ask = channel.unary_unary(f"/registry_grpc.v1.CatalogueService/{method}")
        proof = (("authorization", f"Bearer {server.token}"),)
        ask(message, metadata=proof)
        began = now = time.perf_counter()
        while now - began < SECONDS:
            before = now
            ask(message, metadata=proof)
            now = time.perf_counter()
            times.append((now - before) * 1e3)
    times.sort()
    at = {share: times[int(len(times) * share)] for share in (0.5, 0.99)}
    return Sample(len(times) / (now - began), {"p50_ms": at[0.5], "p99_ms": at[0.99]})


def _offset(rows: int) -> str:
    """MLflow's page token."""
    return base64.b64encode(json.dumps({"offset": rows}).encode()).decode()


def _token(server: RegistryServer) -> str:
    """Of our deep page, by turning all those before it."""
    api, token = server.api(), ""
    for _ in range(DEEP - 1):
        wanted = catalogue_pb2.SearchVersionsRequest(parent="projects/default", page_size=PAGE, page_token=token)
        token = api.catalogue.SearchVersions(wanted).next_page_token
    api.close()
    return token
