"""Eight uploads at once: what they cost the server in memory, and what a polite caller feels."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.bystanders import bystanders
from tests.bench.harness import rss_mib
from tests.bench.transfers import Registry, make_file
from tests.kit.server import RegistryServer

SIZE_MIB = int(os.environ.get("MREG_BENCH_LOAD_MIB", "2048"))
UPLOADS = 8
IDLE_S = 20
BESIDE_S = 60
"""Of some 80 s: of 1,000 calls in 20 s the ten slowest decide, and one pause of the host can be them."""
_SAMPLE_S = 0.2


def eight_uploads(server: RegistryServer) -> dict[str, float]:
    """Memory is sampled over the whole time; its second half against its first says whether it is flat."""
    with tempfile.TemporaryDirectory() as directory, bystanders(server) as others:
        file = Path(directory) / "model.bin"
        sha256 = make_file(file, SIZE_MIB)
        uploads = [Registry(server, file, sha256) for _ in range(UPLOADS)]
        pid = uploads[0].pid
        before = others.ask(IDLE_S)
        idle, samples, done = rss_mib(pid), [], threading.Event()

        def watch() -> None:
            while not done.wait(_SAMPLE_S):
                samples.append(rss_mib(pid))

        with ThreadPoolExecutor(UPLOADS + 1) as pool:
            watcher, began = pool.submit(watch), time.monotonic()
            running = [pool.submit(each.upload) for each in uploads]
            try:
                time.sleep(2)
                beside = others.ask(BESIDE_S)
                has_ended = any(each.done() for each in running)
                for each in running:
                    each.result()
                seconds = time.monotonic() - began
            finally:
                done.set()
            watcher.result()
    if has_ended:
        message = f"an upload ended within {BESIDE_S} s; raise MREG_BENCH_LOAD_MIB above {SIZE_MIB}"
        raise AssertionError(message)
    middle = len(samples) // 2
    return {
        "load_mb_per_s": UPLOADS * SIZE_MIB * 1.048576 / seconds,
        "load_rss_per_upload_mib": (max(samples) - idle) / UPLOADS,
        "load_rss_second_half_mib": statistics.median(samples[middle:]) - statistics.median(samples[:middle]),
        "load_resolve_idle_p99_ms": before.resolve.details["p99_ms"],
        "load_bare_idle_p99_ms": before.bare.details["p99_ms"],
        "load_resolve_p50_ms": beside.resolve.details["p50_ms"],
        "load_resolve_p99_ms": beside.resolve.details["p99_ms"],
        "load_bare_p99_ms": beside.bare.details["p99_ms"],
    }
