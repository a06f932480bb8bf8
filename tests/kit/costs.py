"""What a server process costs, and how it serves a polite client meanwhile."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from registry_grpc.v1 import models_pb2, models_pb2_grpc, stages_pb2, stages_pb2_grpc
from tests.kit.catalogue import Catalogue
from tests.kit.server import RegistryServer

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAUSE_S = 0.005


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def cpu_ns(pid: int) -> int:
    """Processor time of the threads a process has now, exactly: for spans in which none of them ends."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def rss_bytes(pid: int) -> int:
    """Memory of a process that is resident now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def rss_peak(pid: int) -> Iterator[list[int]]:
    """Yield a list of one number: the highest RSS seen until the block ends, looked at every 50 ms."""
    peak, ended = [rss_bytes(pid)], threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], rss_bytes(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Service:
    """What a polite client got."""

    calls: int
    errors: list[str]
    p50_ms: float
    p99_ms: float


@contextlib.contextmanager
def polite_client(server: RegistryServer) -> Iterator[list[Service]]:
    """A client in a process of its own that resolves and reads all the while; its `Service` is in the list afterwards.

    In a process of its own, or the hostile caller's hold on the interpreter would be measured.
    """
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    version = catalogue.ready(model)
    catalogue.bring(version.name, "production")
    api.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.costs", server.endpoint, model],
        env=os.environ | {"POLITE_TOKEN": server.token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: list[Service] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield found
        out, _ = process.communicate("stop\n", timeout=30)
        found.append(Service(**json.loads(out)))
    finally:
        process.kill()
        process.communicate()


def _be_polite(endpoint: str, model: str) -> None:
    metadata = (("authorization", "Bearer " + os.environ["POLITE_TOKEN"]),)
    channel = grpc.insecure_channel(endpoint)
    stages, models = stages_pb2_grpc.StageServiceStub(channel), models_pb2_grpc.ModelServiceStub(channel)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    calls = (
        lambda: stages.Resolve(
            stages_pb2.ResolveRequest(name=model, stage="production"), metadata=metadata, timeout=10
        ),
        lambda: models.GetModel(models_pb2.GetModelRequest(name=model), metadata=metadata, timeout=10),
    )
    for warm in calls * 20:
        warm()
    print("ready", flush=True)
    took, errors = [], []
    while not ended.wait(_PAUSE_S):
        began = time.monotonic()
        try:
            calls[len(took) % 2]()
        except grpc.RpcError as error:
            errors.append(f"{error.code().name}: {error.details()}")
        took.append(time.monotonic() - began)
    took.sort()
    at = [1000 * took[int(len(took) * share)] for share in (0.5, 0.99)]
    print(json.dumps({"calls": len(took), "errors": errors[:20], "p50_ms": at[0], "p99_ms": at[1]}))


if __name__ == "__main__":
    _be_polite(*sys.argv[1:])
