"""What PostgreSQL and MinIO have in common: one process, one directory, one port, one log."""

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from _services import places, processes

_LOG_TAIL_LINES = 30

# Engines outlive their starter on purpose; a Popen warns of that when collected, so none ever is.
_started: list[subprocess.Popen[bytes]] = []


class EngineError(RuntimeError):
    """An engine could not be found, started or stopped; the message carries the end of its log."""


class Engine(ABC):
    """A server process with all its state in one directory, listening on one loopback port.

    The process outlives the Python process that started it, and any Python process that names the
    same directory can stop it. Not for concurrent use of one directory: callers lock.
    """

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory.resolve()
        self.port = port
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that takes the engine's output, across restarts."""
        return self.directory / "log"

    def start(self, timeout_s: float = 60) -> None:
        """Start and return once it answers; does nothing when it already runs."""
        self.launch()
        self.wait_ready(timeout_s)

    def launch(self) -> None:
        """Start without waiting."""
        if self.is_running():
            return
        if not places.is_free(self.port):
            message = f"{self.name}: port {self.port} is taken"
            raise EngineError(message)
        self.prepare()
        with self.log.open("ab") as log:
            self._child = self.spawn(log.fileno())
        _started.append(self._child)
        self._pid_file.write_text(str(self._child.pid))

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Return once the engine answers.

        Raises EngineError with the end of the log when it dies or is too slow.
        """
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self.is_running():
                raise EngineError(self._with_log_tail("exited while starting"))
            if time.monotonic() > deadline:
                self.kill()
                raise EngineError(self._with_log_tail(f"not ready after {timeout_s:.0f} s"))
            time.sleep(0.05)

    def stop(self, timeout_s: float = 30) -> None:
        """Stop in order, or by force after `timeout_s`; does nothing when it does not run."""
        pid = self.pid()
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, self.stop_signal)
        if not processes.wait_gone(pid, self._needle, timeout_s=timeout_s):
            processes.kill_tree(pid)
        self._reap()

    def kill(self) -> None:
        """SIGKILL the whole process tree, as a power cut would; the directory stays."""
        pid = self.pid()
        if pid is None:
            return
        processes.kill_tree(pid)
        self._reap()

    def is_running(self) -> bool:
        """Tell whether the process lives; it may not answer yet."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """Return the pid of the running engine, or None."""
        if self._child is not None:
            # For a moment after exec the command line of a child is empty: ask the child instead.
            return self._child.pid if self._child.poll() is None else None
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if processes.is_running(pid, self._needle) else None

    @abstractmethod
    def prepare(self) -> None:
        """Make the directory ready for `spawn`; called before each start."""

    @abstractmethod
    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own, writing to the descriptor `log`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the engine answers; may raise OSError instead of saying no."""

    @property
    def _pid_file(self) -> Path:
        return self.directory / "pid"

    @property
    def _needle(self) -> str:
        # Every engine gets its directory as an argument, so its command line names it.
        return str(self.directory)

    def _answers(self) -> bool:
        try:
            return self.is_ready()
        except OSError:
            return False

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait(timeout=5)
            _started.remove(self._child)
            self._child = None
        self._pid_file.unlink(missing_ok=True)

    def _with_log_tail(self, what: str) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except FileNotFoundError:
            lines = ["(no log)"]
        return "\n".join([f"{self.name} on port {self.port}: {what}; the end of {self.log}:", *lines])
