"""A trainer that pushes and pulls files through the SDK, and begins again whatever breaks."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from registry_grpc.client import Registry, RegistryError
from tests.kit.server import RegistryServer

MIB = 1 << 20
SIZES = (1, 3 * MIB, 17 * MIB, 20 * MIB)
"""One byte; one part; more than one."""
PAUSE_S = 8.0


class Pusher:
    """Pushes new bytes as a new version of a model of its own, then pulls a version it made before."""

    def __init__(self, number: int, endpoints: list[str], token: str) -> None:
        self.model = f"soak-{number}"
        self.versions: dict[int, str] = {}
        """SHA-256 by version."""
        self.failed = 0
        self.faults: list[str] = []
        self._random = random.Random(number)
        self._endpoint, self._token = ",".join(endpoints), token

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            with self._registry(self._endpoint) as (registry, directory):
                self._push(registry, directory, stop)
                if self.versions:
                    self._pull(registry, directory, self._random.choice(list(self.versions)), stop)
            stop.wait(PAUSE_S)

    @contextlib.contextmanager
    def _registry(self, endpoint: str) -> Iterator[tuple[Registry, Path]]:
        """A client whose cache ends with it, and a directory to work in."""
        with tempfile.TemporaryDirectory() as text:
            directory = Path(text)
            with Registry(endpoint, token=self._token, cache_dir=directory / "cache") as registry:
                yield registry, directory

    def _push(self, registry: Registry, directory: Path, stop: threading.Event) -> None:
        file = directory / "model.bin"
        content = self._random.randbytes(self._random.choice(SIZES))
        file.write_bytes(content)
        while not stop.is_set():
            try:
                version = registry.push(self.model, file)
            except RegistryError:
                self.failed += 1
                stop.wait(1)
                continue
            self.versions[version.number] = hashlib.sha256(content).hexdigest()
            return

    def _pull(self, registry: Registry, directory: Path, number: int, stop: threading.Event) -> None:
        while not stop.is_set():
            shutil.rmtree(directory / "pulled", ignore_errors=True)
            try:
                registry.pull(f"{self.model}/{number}", directory / "pulled")
            except RegistryError:
                self.failed += 1
                stop.wait(1)
                continue
            found = hashlib.sha256((directory / "pulled/model.bin").read_bytes()).hexdigest()
            if found != self.versions[number]:
                self.faults.append(f"{self.model}/{number} hashes to {found}, {self.versions[number]} was pushed")
            return

    def check(self, server: RegistryServer) -> list[str]:
        """Pull every version once more, from one replica in peace; what is wrong with them."""
        with self._registry(server.endpoint) as (registry, directory):
            numbers = {version.number for version in registry.list_versions(self.model, states=["ready"])}
            if lost := set(self.versions) - numbers:
                self.faults.append(f"versions of {self.model} that were acknowledged are not READY: {sorted(lost)}")
            for number in sorted(numbers & set(self.versions)):
                self._pull(registry, directory, number, threading.Event())
        return self.faults
