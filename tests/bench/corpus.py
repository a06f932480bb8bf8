"""Whether what is asked all day costs the same with 100,000 versions as with 1,000."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from registry_grpc.client import Registry as Client
from registry_grpc.v1 import models_pb2, stages_pb2
from tests.bench.calls import CREATE, RESOLVE, production_model
from tests.bench.harness import Comparison, Load, Sample, compare, ghz
from tests.kit.server import RegistryServer

LARGE = int(os.environ.get("MREG_BENCH_VERSIONS", "100000"))
SMALL = LARGE // 100
_MODELS = 1000
_PROMOTIONS = 60


def fill(server: RegistryServer, versions: int) -> None:
    """Create that many versions over a thousand models (fewer when there are fewer versions), by the API."""
    models = min(_MODELS, versions)
    api = server.api()
    for number in range(models):
        api.models.CreateModel(models_pb2.CreateModelRequest(parent="projects/default", model_id=f"model-{number}"))
    request = {
        "parent": f"projects/default/models/model-{{{{randomInt 0 {models - 1}}}}}",
        "version": {
            "algorithm": "gradient boosting",
            "framework": {"name": "scikit-learn"},
            "tags": {"team": "risk"},
        },
    }
    ghz(server.endpoint, CREATE, request, Load(calls=versions, concurrency=8), server.token)


def costs(small: RegistryServer, large: RegistryServer, rounds: int) -> list[Comparison]:
    """Resolve and PromoteVersion on both."""
    fill(small, SMALL)
    fill(large, LARGE)
    servers = {f"{SMALL} versions": small, f"{LARGE} versions": large}
    limit = f"{SMALL} versions"
    return [
        compare(
            "Resolve, 8 clients, by size of the registry",
            "calls/s",
            {name: _resolving(server) for name, server in servers.items()},
            limit=limit,
            goal="within 20 %",
            rounds=rounds,
        ),
        compare(
            "PromoteVersion, 1 client, by size of the registry",
            "calls/s",
            {name: _promoting(server) for name, server in servers.items()},
            limit=limit,
            goal="within 20 %",
            rounds=rounds,
        ),
    ]


def _resolving(server: RegistryServer) -> Callable[[], Sample]:
    request = {"name": production_model(server), "stage": "production"}
    return lambda: ghz(server.endpoint, RESOLVE, request, Load(seconds=3, concurrency=8), server.token)


def _promoting(server: RegistryServer) -> Callable[[], Sample]:
    """Two versions of one model take staging from each other."""
    api = server.api()
    with tempfile.TemporaryDirectory() as directory, Client(server.endpoint, token=server.token) as client:
        file = Path(directory) / "model.bin"
        file.write_bytes(bytes(4096))
        names = [client.push("promoted", file, algorithm=algorithm).name for algorithm in ("first", "second")]

    def visit() -> Sample:
        times = []
        for number in range(_PROMOTIONS):
            request = stages_pb2.PromoteVersionRequest(name=names[number % 2], stage="staging")
            began = time.monotonic()
            api.stages.PromoteVersion(request)
            times.append(time.monotonic() - began)
        return Sample(1 / statistics.median(times), {"p50_ms": statistics.median(times) * 1000})

    return visit
