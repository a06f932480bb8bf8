"""Processes as the kernel shows them: who lives, whose child it is, how to end a whole tree."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_PROC = Path("/proc")
_PS_COLUMNS = ("pid", "ppid", "state", "command")


def is_running(pid: int, needle: str) -> bool:
    """Tell whether `pid` lives and has `needle` in its command line.

    The needle guards against a pid that has been given to a stranger; a zombie counts as gone,
    because in a container nobody may ever reap it.
    """
    entry = _table().get(pid)
    return entry is not None and needle in entry[1]


def kill_tree(pid: int, *, timeout_s: float = 5) -> None:
    """SIGKILL `pid` and all its descendants, frozen first, so that it starts no more; wait until none is left.

    One that is left for a moment may still write, and PostgreSQL does not start while its predecessor has children.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    victims = [*reversed(descendants(pid)), pid]
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    _wait(lambda: living().isdisjoint(victims), timeout_s)


def wait_gone(pid: int, needle: str, *, timeout_s: float) -> bool:
    """Return True once `pid` is gone, False when it still runs after `timeout_s`."""
    return _wait(lambda: not is_running(pid, needle), timeout_s)


def _wait(done: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def living() -> set[int]:
    """Return the pids of all processes; a zombie is none."""
    return set(_table())


def descendants(root: int) -> list[int]:
    """Return the pids of all that `root` started, and of those they started, parents first."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in _table().items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, []))
    for pid in found:  # grows while it is walked: breadth first
        found.extend(children.get(pid, []))
    return found


def _table() -> dict[int, tuple[int, str]]:
    """Return pid → (parent pid, command line) of every process that is not a zombie."""
    if not (_PROC / "self/stat").exists():
        return _table_from_ps()
    table = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The command name, in parentheses, may hold anything: split after the last one.
            state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                table[int(entry.name)] = (int(parent), command)
    return table


def _table_from_ps() -> dict[int, tuple[int, str]]:
    listing = subprocess.run(
        ["ps", "-axo", ",".join(f"{column}=" for column in _PS_COLUMNS)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = (line.split(None, 3) for line in listing.splitlines())
    return {
        int(row[0]): (int(row[1]), row[3])
        for row in rows
        if len(row) == len(_PS_COLUMNS) and not row[2].startswith("Z")
    }
