"""A driver as a process that a test talks to while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.harness import rss_mib
from tests.conformance.running import driver_of, environment_of

Line = dict[str, Any]
PATIENCE_S = 300.0


class Driver:
    """One case through one driver: its lines as they come, an answer where it waits."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[Line] = []
        self._came: queue.Queue[Line | None] = queue.Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def join(self) -> None:
        """Until all is read of a driver that has ended."""
        self._reading.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._came.put(json.loads(text))
        self._came.put(None)

    def until(self, wanted: Callable[[Line], bool]) -> Line:
        """The next line that is wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := deadline - time.monotonic()) > 0:
            line = self._came.get(timeout=left)
            if line is None:
                raise AssertionError(f"the driver ended; its last lines: {self.lines[-3:]}")
            self.lines.append(line)
            if wanted(line):
                return line
            if "outcome" in line and "reply" not in line["outcome"]:
                raise AssertionError(f"a step failed: {line}")
        raise AssertionError("the driver said nothing for too long")

    def waiting(self) -> None:
        """Until it waits for `go`."""
        self.until(lambda line: "waiting" in line)

    def go(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def outcome(self, step: int) -> Any:
        """The reply of a step."""
        return self.until(lambda line: line.get("step") == step and "outcome" in line)["outcome"]["reply"]

    def rss_mib(self) -> float:
        """Resident memory of the driver and whatever it started, MiB."""
        total = 0.0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                total += rss_mib(pid)
        return total


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text().split()
            found += [each for child in children for each in tree(int(child))]
    return found


@contextlib.contextmanager
def driving(language: str, endpoint: str, token: str, steps: list[Any], place: Path) -> Iterator[Driver]:
    """A driver at work on these steps; killed afterwards."""
    file = place / f"{language}.json"
    file.write_text(json.dumps({"cases": [{"name": "one", "steps": steps}]}))
    with subprocess.Popen(
        [driver_of(language), file],
        env=environment_of(endpoint, token),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        driver = Driver(process)
        try:
            yield driver
        finally:
            for pid in reversed(tree(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            driver.join()
