"""Unary calls: Resolve against its limit and the peer, CreateVersion, a second push, starting."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from registry_grpc.client import Registry as Client
from registry_grpc.v1 import models_pb2, stages_pb2, versions_pb2
from tests.bench.harness import ROOT, Comparison, Load, Sample, compare, cpu_s, ghz
from tests.bench.peers import mlflow
from tests.bench.transfers import MIB, Registry, make_file
from tests.kit.engines import fresh_database
from tests.kit.server import RegistryServer, running

SECONDS = 4.0
RESOLVE = "registry_grpc.v1.StageService.Resolve"
CREATE = "registry_grpc.v1.ModelService.CreateVersion"
PEER = "MLflow, {} worker(s)"


def resolve(server: RegistryServer, rounds: int) -> Comparison:
    """Resolve production, 32 in flight, against an echo of the same bytes."""
    api = server.api()
    name = production_model(server)
    request = {"name": name, "stage": "production"}
    reply = api.stages.Resolve(stages_pb2.ResolveRequest(name=name, stage="production")).SerializeToString()
    with echo(reply) as (port, echo_pid):
        assert server.process is not None
        mine = _measured(server.endpoint, server.process.pid, request, server.token)
        limit = _measured(f"127.0.0.1:{port}", echo_pid, request, server.token)
        return compare(
            "Resolve production, hot, 32 in flight",
            "calls/s",
            {"bare aio echo": limit, "Resolve": mine},
            limit="bare aio echo",
            goal="goal ≥ 0.90, must ≥ 0.85; CPU per call ≤ 1.15x",
            rounds=rounds,
        )


def peers(server: RegistryServer, postgres_url: str, rounds: int) -> list[Comparison]:
    """Resolve and CreateVersion against MLflow with one and four workers, 8 clients, on the same PostgreSQL."""
    request = {"name": production_model(server), "stage": "production"}
    with contextlib.ExitStack() as stack:
        theirs = {
            count: stack.enter_context(mlflow(stack.enter_context(fresh_database(postgres_url)), workers=count))
            for count in (1, 4)
        }
        load = Load(seconds=SECONDS, concurrency=8)
        reads: dict[str, Callable[[], Sample]] = {
            PEER.format(count): (lambda peer=peer: peer.by_alias(load)) for count, peer in theirs.items()
        }
        reads["Resolve"] = lambda: ghz(server.endpoint, RESOLVE, request, load, server.token)
        writes: dict[str, Callable[[], Sample]] = {
            PEER.format(count): (lambda peer=peer: peer.create_version(load)) for count, peer in theirs.items()
        }
        new = many_versions(server)
        writes["CreateVersion"] = lambda: ghz(server.endpoint, CREATE, new, load, server.token)
        better = PEER.format(1)
        return [
            compare("version by alias, 8 clients", "calls/s", reads, limit=better, goal="≥ 20x", rounds=rounds),
            compare("create version, 8 clients", "calls/s", writes, limit=better, goal="≥ 3x", rounds=rounds),
        ]


def _measured(endpoint: str, pid: int, request: object, token: str) -> Callable[[], Sample]:
    def visit() -> Sample:
        before = cpu_s(pid)
        sample = ghz(endpoint, RESOLVE, request, Load(seconds=SECONDS, concurrency=32), token)
        used = cpu_s(pid) - before
        return Sample(sample.value, {**sample.details, "cpu_us_per_call": used * 1e6 / (sample.value * SECONDS)})

    return visit


@contextlib.contextmanager
def echo(reply: bytes) -> Iterator[tuple[int, int]]:
    """A bare server in a process of its own: its port and pid."""
    command = [sys.executable, str(ROOT / "tests/bench/echo.py"), reply.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield int(process.stdout.readline()), process.pid  # type: ignore[union-attr]
        finally:
            process.kill()


def production_model(server: RegistryServer) -> str:
    """A model with a version in production, made through the API."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "small.bin"
        transfers = Registry(server, file, make_file(file, 1))
        transfers.upload()
    api = server.api()
    version = transfers.artifact.rpartition("/artifacts/")[0]
    api.models.FinalizeVersion(versions_pb2.FinalizeVersionRequest(name=version))
    for stage in ("staging", "production"):
        api.stages.PromoteVersion(stages_pb2.PromoteVersionRequest(name=version, stage=stage))
    return version.rpartition("/versions/")[0]


def many_versions(server: RegistryServer) -> dict[str, object]:
    """The request that creates versions of a new model, each with an id of its own."""
    parent = f"projects/default/models/many-{time.monotonic_ns()}"
    create = models_pb2.CreateModelRequest(parent="projects/default", model_id=parent.rpartition("/")[2])
    server.api().models.CreateModel(create)
    return {"parent": parent, "request_id": "{{newUUID}}", "version": {"algorithm": "gbm"}}


def create_versions(server: RegistryServer) -> dict[str, float]:
    """CreateVersion with event, audit entry and idempotency record; eight clients create in one model."""
    request = many_versions(server)
    samples = [
        ghz(server.endpoint, CREATE, request, Load(seconds=SECONDS, concurrency=8), server.token) for _ in range(3)
    ]
    best = sorted(samples, key=lambda sample: sample.value)[1]
    return {
        "create_version_per_s": best.value,
        "create_version_p50_ms": best.details["p50_ms"],
        "create_version_p99_ms": best.details["p99_ms"],
    }


def second_push(server: RegistryServer, files: int = 32) -> dict[str, float]:
    """A push by the SDK of files whose bytes the project holds: milliseconds a file, hashing them included."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        for number in range(files):
            (directory / f"{number}.bin").write_bytes(number.to_bytes(8, "big") * (MIB // 8))
        with Client(server.endpoint, token=server.token) as client:
            client.push("pushed", directory, algorithm="first")
            began = time.monotonic()
            client.push("pushed", directory, algorithm="second")
            return {"second_push_ms_per_file": (time.monotonic() - began) * 1000 / files}


def latency_during_upload(server: RegistryServer, mine: Registry) -> dict[str, float]:
    """Unary latency of one client, idle and while one upload runs."""
    request = {"name": production_model(server), "stage": "production"}

    def visit() -> Sample:
        return ghz(server.endpoint, RESOLVE, request, Load(seconds=3, concurrency=1), server.token)

    idle = visit()
    upload = threading.Thread(target=mine.upload)
    upload.start()
    time.sleep(0.2)
    busy = visit()
    upload.join()
    return {
        "unary_idle_p50_ms": idle.details["p50_ms"],
        "unary_idle_p99_ms": idle.details["p99_ms"],
        "unary_during_upload_p50_ms": busy.details["p50_ms"],
        "unary_during_upload_p99_ms": busy.details["p99_ms"],
    }


def starts() -> dict[str, float]:
    """Seconds from nothing to serving (embedded), and of importing the SDK; medians of three."""
    cold, imports = [], []
    for _ in range(3):
        began = time.monotonic()
        with running():
            cold.append(time.monotonic() - began)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import registry_grpc.client"], check=True)
        imports.append(time.monotonic() - began)
    return {"cold_start_s": sorted(cold)[1], "import_client_s": sorted(imports)[1]}
