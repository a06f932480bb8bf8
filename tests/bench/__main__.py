"""Measures and writes docs/benchmarks.md and docs/benchmarks.json: `make bench` (MREG_BENCH_MIB, MREG_BENCH_ROUNDS)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from registry_grpc.v1 import models_pb2, stages_pb2, versions_pb2
from tests.bench.harness import ROOT, Comparison, Sample, compare, cpu_s, ghz, machine, rss_mib
from tests.bench.report import write
from tests.bench.transfers import Direct, Registry, make_file
from tests.kit.engines import fresh_bucket, fresh_database, service_environment
from tests.kit.server import RegistryServer, distributed, running

SIZE_MIB = int(os.environ.get("MREG_BENCH_MIB", "1024"))
ROUNDS = int(os.environ.get("MREG_BENCH_ROUNDS", "5"))
SECONDS = 4.0
RESOLVE = "registry_grpc.v1.StageService.Resolve"


def main() -> None:
    """Every comparison, on one server over PostgreSQL and MinIO."""
    wanted = set(sys.argv[1:])
    env = service_environment()
    keys = (env["MREG_TEST_MINIO_ENDPOINT"], env["MREG_TEST_MINIO_ACCESS_KEY"], env["MREG_TEST_MINIO_SECRET_KEY"])
    with (
        fresh_database(env["MREG_TEST_POSTGRES_URL"]) as url,
        fresh_bucket(*keys) as bucket,
        running({**distributed(url, bucket), "log_level": "warning"}) as server,
        tempfile.TemporaryDirectory() as directory,
    ):
        results: list[Comparison] = []
        facts: dict[str, float] = {}
        if not wanted or "resolve" in wanted:
            results.append(resolve(server))
        if not wanted or "create" in wanted:
            facts |= create_versions(server)
        if not wanted or "transfer" in wanted:
            file = Path(directory) / "model.bin"
            sha256 = make_file(file, SIZE_MIB)
            mine, direct = Registry(server, file, sha256), Direct(bucket, file, sha256)
            facts |= memory(mine)
            goal = "goal ≥ 0.90, must ≥ 0.80"
            results.append(
                compare(
                    f"upload {SIZE_MIB} MiB",
                    "MB/s",
                    {"minio SDK put_object": direct.upload, "WriteUpload": mine.upload},
                    limit="minio SDK put_object",
                    goal=goal,
                    rounds=ROUNDS,
                ),
            )
            results.append(
                compare(
                    f"download {SIZE_MIB} MiB",
                    "MB/s",
                    {"minio SDK get_object": direct.download, "ReadArtifact": mine.download},
                    limit="minio SDK get_object",
                    goal="goal ≥ 0.90",
                    rounds=ROUNDS,
                ),
            )
            facts |= latency_during_upload(server, mine)
        facts |= starts()
        write(ROOT / "docs", machine(), results, facts)
    print(json.dumps(facts, indent=2))


def resolve(server: RegistryServer) -> Comparison:
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
            rounds=ROUNDS,
        )


def _measured(endpoint: str, pid: int, request: object, token: str):
    def visit() -> Sample:
        before = cpu_s(pid)
        sample = ghz(endpoint, RESOLVE, request, seconds=SECONDS, concurrency=32, token=token)
        used = cpu_s(pid) - before
        return Sample(sample.value, {**sample.details, "cpu_us_per_call": used * 1e6 / (sample.value * SECONDS)})

    return visit


@contextlib.contextmanager
def echo(reply: bytes) -> Iterator[tuple[int, int]]:
    """A bare server in a process of its own: its port and pid."""
    command = [sys.executable, str(ROOT / "tests/bench/echo.py"), reply.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline()), process.pid  # type: ignore[union-attr]
        finally:
            process.kill()


def production_model(server: RegistryServer) -> str:
    """A model with a version in production, made through the API."""
    from tests.bench.transfers import Registry as Transfers

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "small.bin"
        transfers = Transfers(server, file, make_file(file, 1))
        transfers.upload()
    api = server.api()
    version = transfers.artifact.rpartition("/artifacts/")[0]
    api.models.FinalizeVersion(versions_pb2.FinalizeVersionRequest(name=version))
    for stage in ("staging", "production"):
        api.stages.PromoteVersion(stages_pb2.PromoteVersionRequest(name=version, stage=stage))
    return version.rpartition("/versions/")[0]


def create_versions(server: RegistryServer) -> dict[str, float]:
    """CreateVersion with event, audit entry and idempotency record; eight clients create in one model."""
    api = server.api()
    model = api.models.CreateModel(models_pb2.CreateModelRequest(parent="projects/default", model_id="many"))
    request = {"parent": model.name, "request_id": "{{newUUID}}", "version": {"algorithm": "gbm"}}
    call = "registry_grpc.v1.ModelService.CreateVersion"
    samples = [
        ghz(server.endpoint, call, request, seconds=SECONDS, concurrency=8, token=server.token) for _ in range(3)
    ]
    best = sorted(samples, key=lambda sample: sample.value)[1]
    return {
        "create_version_per_s": best.value,
        "create_version_p50_ms": best.details["p50_ms"],
        "create_version_p99_ms": best.details["p99_ms"],
    }


def memory(mine: Registry) -> dict[str, float]:
    """Resident memory an active upload adds to a server that has served one before."""
    mine.upload()
    mine.peak_mib = 0.0
    idle = rss_mib(mine.pid)
    mine.upload()
    return {"upload_rss_added_mib": mine.peak_mib - idle, "server_rss_idle_mib": idle}


def latency_during_upload(server: RegistryServer, mine: Registry) -> dict[str, float]:
    """Unary latency of one client, idle and while one upload runs."""
    request = {"name": production_model(server), "stage": "production"}

    def visit() -> Sample:
        return ghz(server.endpoint, RESOLVE, request, seconds=3, concurrency=1, token=server.token)

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


if __name__ == "__main__":
    main()
