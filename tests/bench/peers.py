"""MLflow beside us: its server on the same PostgreSQL, asked the same questions over its REST API.

With more than one worker it shows a floor of some 40 ms to clients that keep their connection (Nagle and delayed ACK on
the sockets its workers inherit), so both settings are measured, and the better one counts. Source: the performance
research note, section 4.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from tests.bench.harness import ROOT, Load, Sample
from tests.kit.engines import places

START_S = 120.0
MODEL = "peer"


@dataclass(frozen=True)
class Mlflow:
    """A running server with one model, whose version 1 is the holder of `production`."""

    endpoint: str

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.endpoint}/api/2.0/mlflow/{path}", json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def fill(self) -> None:
        """One model, one version, one alias."""
        self.post("registered-models/create", {"name": MODEL})
        self.post("model-versions/create", {"name": MODEL, "source": "s3://models/peer"})
        self.post("registered-models/alias", {"name": MODEL, "alias": "production", "version": "1"})

    def by_alias(self, load: Load) -> Sample:
        """Which version is production."""
        return self.load(f"registered-models/alias?name={MODEL}&alias=production", load)

    def create_version(self, load: Load) -> Sample:
        """A new version of one model."""
        body = json.dumps({"name": MODEL, "source": "s3://models/peer"})
        return self.load("model-versions/create", load, body)

    def load(self, path: str, load: Load, body: str = "") -> Sample:
        """A GET of `path`, or a POST of `body` to it, again and again."""
        hey = subprocess.run([ROOT / "scripts/tool", "hey"], capture_output=True, text=True, check=True).stdout.strip()
        command = [hey, "-z", f"{load.seconds}s", "-c", str(load.concurrency), "-o", "csv"]
        if body:
            command += ["-m", "POST", "-T", "application/json", "-d", body]
        began = time.monotonic()
        done = subprocess.run(
            [*command, f"{self.endpoint}/api/2.0/mlflow/{path}"],
            capture_output=True,
            text=True,
            check=True,
            start_new_session=True,  # as ghz
        )
        took = time.monotonic() - began
        rows = list(csv.DictReader(StringIO(done.stdout)))
        if not rows or (bad := [row for row in rows if row["status-code"] != "200"]):
            raise AssertionError(f"MLflow {path}: {len(rows)} answers, {bad[:1] if rows else done.stderr}")
        times = sorted(float(row["response-time"]) * 1000 for row in rows)
        at = {share: times[int(len(times) * share)] for share in (0.5, 0.99)}
        return Sample(len(rows) / took, {"p50_ms": at[0.5], "p99_ms": at[0.99]})


@contextlib.contextmanager
def mlflow(database_url: str, *, workers: int) -> Iterator[Mlflow]:
    """A server over an empty PostgreSQL database, filled."""
    port = places.free_port()
    url = database_url.replace("postgresql+psycopg://", "postgresql+psycopg2://", 1)
    command = [_environment() / "bin/mlflow", "server", "--backend-store-uri", url, "--workers", str(workers)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-serve-artifacts"]
    server = Mlflow(f"http://127.0.0.1:{port}")
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    )
    try:
        _wait(server.endpoint, process)
        server.fill()
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{endpoint}/health", timeout=5):
            return
        time.sleep(0.2)
    raise AssertionError(f"MLflow did not start within {START_S:g} s (exit code {process.poll()})")


def _environment() -> Path:
    """The peers' own environment, made once; it is too large to be part of ours."""
    directory: Path = places.cache_directory() / "peers"
    lock = ROOT / "requirements/peers.txt"
    stamp = directory / "peers.txt"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        sync = [ROOT / ".venv/bin/uv", "pip", "sync", "--quiet", "--require-hashes", lock]
        subprocess.run([*sync, "--python", directory / "bin/python"], check=True)
        stamp.write_bytes(lock.read_bytes())
    return directory
