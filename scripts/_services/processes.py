"""Processes as the kernel shows them: who lives, whose child it is, how to end a whole tree."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_PS_COLUMNS = ("pid", "ppid", "state", "command")


class _Process(NamedTuple):
    parent: int
    state: str
    command: str


def is_running(pid: int, needle: str) -> bool:
    """Tell whether `pid` lives and has `needle` in its command line.

    The needle guards against a pid that has been given to a stranger; a zombie counts as gone,
    because in a container nobody may ever reap it.
    """
    entry = _table().get(pid)
    return entry is not None and needle in entry.command


def kill_tree(pid: int, *, timeout_s: float = 30) -> None:
    """SIGKILL `pid` and all its descendants, frozen first, so that it starts no more; wait until none is left.

    One that is left for a moment may still write, and PostgreSQL does not start while its predecessor has children.

    Raises TimeoutError when some are left after `timeout_s`.
    """
    victims = _freeze(pid, timeout_s)
    for victim in reversed(victims):
        _send(victim, signal.SIGKILL)
    if not _wait(lambda: living().isdisjoint(victims), timeout_s):
        left = sorted(living().intersection(victims))
        message = f"processes {left} are left {timeout_s:.0f} s after SIGKILL; /proc/PID/stack tells what they wait for"
        raise TimeoutError(message)


def _freeze(root: int, timeout_s: float) -> list[int]:
    """Stop `root` and all its descendants; return their pids, parents first.

    A signal is sent before it has arrived: who was just starting a child still does. So look again until all stand
    still and nobody is new.
    """
    tree: list[int] = []
    while fresh := [pid for pid in (root, *descendants(root)) if pid not in tree]:
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        _wait(partial(_stand_still, fresh), timeout_s)
        tree += fresh
    return tree


def _stand_still(pids: list[int]) -> bool:
    table = _table()
    return all(table[pid].state in "Tt" for pid in pids if pid in table)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


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
    for pid, process in _table().items():
        children.setdefault(process.parent, []).append(pid)
    found = list(children.get(root, []))
    for pid in found:  # grows while it is walked: breadth first
        found.extend(children.get(pid, []))
    return found


def _table() -> dict[int, _Process]:
    """Return every process that is not a zombie, by pid."""
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
                table[int(entry.name)] = _Process(int(parent), state, command)
    return table


def _table_from_ps() -> dict[int, _Process]:
    listing = subprocess.run(
        ["ps", "-axo", ",".join(f"{column}=" for column in _PS_COLUMNS)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = (line.split(None, 3) for line in listing.splitlines())
    return {
        int(row[0]): _Process(int(row[1]), row[2][:1], row[3])
        for row in rows
        if len(row) == len(_PS_COLUMNS) and not row[2].startswith("Z")
    }
