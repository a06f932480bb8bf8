"""The pair of engines that one clone's tests, benches and demo share."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from _services import places
from _services.engine import Engine, EngineError
from _services.minio import MinioServer
from _services.postgres import PostgresServer

_ATTEMPTS = 3


class SharedServices:
    """PostgreSQL and MinIO of this clone. Safe to start from several processes at once."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or places.run_directory()
        ports = self._ports()
        self.postgres = PostgresServer(self.directory / "postgres", ports.get("postgres", 0))
        self.minio = MinioServer(self.directory / "minio", ports.get("minio", 0))

    def start(self) -> None:
        """Start what does not run; return once both answer. Raises EngineError."""
        with self._locked():
            self._read_ports()
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._start_both()
                except EngineError:
                    # Somebody may have taken the free port before the engine did: try another.
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    return

    def stop(self) -> None:
        """Stop both; their data stays for the next start."""
        with self._locked():
            self._read_ports()
            for engine in self._engines():
                engine.stop()

    def running(self) -> bool:
        """Tell whether both processes live."""
        return all(engine.is_running() for engine in self._engines())

    def environment(self) -> dict[str, str]:
        """Return the variables that tell tests where the engines are."""
        return {
            "MREG_TEST_POSTGRES_URL": self.postgres.url,
            "MREG_TEST_MINIO_ENDPOINT": self.minio.endpoint,
            "MREG_TEST_MINIO_ACCESS_KEY": self.minio.access_key,
            "MREG_TEST_MINIO_SECRET_KEY": self.minio.secret_key,
        }

    def _start_both(self) -> None:
        for engine in self._engines():
            if not engine.is_running():
                engine.port = places.free_port()
                engine.launch()
        self._ports_file.write_text(json.dumps({"postgres": self.postgres.port, "minio": self.minio.port}))
        for engine in self._engines():
            engine.wait_ready()

    def _engines(self) -> tuple[Engine, Engine]:
        return self.postgres, self.minio

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"

    def _ports(self) -> dict[str, int]:
        try:
            ports: dict[str, int] = json.loads(self._ports_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return ports

    def _read_ports(self) -> None:
        """Learn what another process may have started since this object was made."""
        ports = self._ports()
        self.postgres.port = ports.get("postgres", 0)
        self.minio.port = ports.get("minio", 0)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
