"""A large upload takes no memory to speak of, and nobody waits for it."""

import os
import statistics
import threading
import time
from pathlib import Path

import pytest

from registry_grpc.v1 import versions_pb2
from tests.kit.uploads import DEPLOYMENTS, MIB, Content, Registry, deployed, stream

MAX_GROWTH_BYTES = 64 * MIB
MAX_UNARY_P99_S = 1.0
"""Two cores carry server, store, database, this client and other tests; a call in the way of bytes takes seconds."""


def resident_bytes(process_id):
    pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


class Watch:
    """Samples in a thread while something else goes on."""

    def __init__(self, sample):
        self._sample = sample
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.samples = []

    def _run(self):
        while not self._stop.wait(0.01):
            self.samples.append(self._sample())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_half_a_gibibyte_takes_the_memory_of_a_small_upload_and_calls_are_answered_meanwhile(kind, service_environment):
    with deployed(kind, service_environment) as server:
        registry, caller = Registry.of(server), Registry.of(server)
        version = registry.draft()

        def call_s():
            began = time.monotonic()
            caller.api.models.GetVersion(versions_pb2.GetVersionRequest(name=version))
            return time.monotonic() - began

        def pushed(path, size_bytes):
            content = Content(size_bytes)
            name = registry.start(version, path, size_bytes).name
            with Watch(lambda: resident_bytes(server.process.pid)) as memory, Watch(call_s) as calls:
                began = time.monotonic()
                upload = registry.write(stream(name, content))
                seconds = time.monotonic() - began
            assert upload.artifact.digest == content.digest
            return max(memory.samples), statistics.quantiles(calls.samples, n=100)[98], seconds

        # Buffers, threads and pools are taken once; what counts is what grows with the size.
        warm, _, _ = pushed("warm-up.bin", 128 * MIB)
        peak, p99, seconds = pushed("model.bin", 512 * MIB)

        growth = peak - warm
        print(f"{kind}: {512 / seconds:.0f} MiB/s, {growth / MIB:+.0f} MiB, unary p99 {p99 * 1000:.1f} ms")
        assert growth <= MAX_GROWTH_BYTES
        assert p99 < MAX_UNARY_P99_S
