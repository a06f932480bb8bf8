"""Waiting for what must come, with an end to patience."""

import time
import urllib.request
from collections.abc import Callable
from typing import Any


def until(seen: Callable[[], Any], within_s: float, every_s: float = 0.02) -> Any:
    """What `seen` returns once that is true; the test fails when it is not within the time."""
    deadline = time.monotonic() + within_s
    while True:
        value = seen()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(every_s)


def metric(port: int, name: str, **labels: str) -> float:
    """Value of one metric on a server's metrics port; 0 when it has none yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    for line in lines:
        if line.startswith(name) and line[len(name)] in "{ " and all(each in line for each in wanted):
            return float(line.rpartition(" ")[2])
    return 0.0
