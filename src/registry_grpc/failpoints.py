"""Named places where a proof may kill, stop, delay or fail this process.

`failpoint("upload.u6.after")` does nothing, and costs one call, unless the environment arms that name before the
process starts: `MREG_TEST_FAILPOINTS="upload.u6.after=kill@2;commit.before=sleep(0.5)"`. Actions:

- `kill`, `stop`: SIGKILL or SIGSTOP of the own process
- `sleep(SECONDS)`, `hang`: the calling thread waits
- `error`: raises FailpointError, which nobody expects; `oserror(ERRNO)`: raises that OSError, such as 28, no space

`@N` fires at the Nth time the place is passed, and only then. Each firing adds the name to the file
`MREG_TEST_FAILPOINTS_LOG`, so a proof can show that what it armed did happen. Modelled on etcd's gofail.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ARMED_BY = "MREG_TEST_FAILPOINTS"
LOGGED_TO = "MREG_TEST_FAILPOINTS_LOG"
NAMES = frozenset(
    {
        "audit.checkpoint.before",
        "audit.checkpoint.kept",
        # One write transaction, in order.
        "write.begun",
        "write.body.after",
        "write.event.after",
        "write.answer.after",
        "write.commit.before",
        "write.commit.after",
        # In the thread that reads the event log for the change feed.
        "feed.poll.before",
        # The steps of an upload: before and after each. U7 is passed only by an upload that was resumed.
        *(f"upload.u{step}.{side}" for step in range(9) for side in ("before", "after")),
        # Between the two halves of U3: the part is stored and no row says so.
        "upload.u3.stored",
        # An event is put in line for a webhook; a delivery is claimed; it was sent and no row says so.
        *(f"webhook.{step}" for step in ("dispatch.before", "dispatch.after", "claim.before", "claim.after", "sent")),
        # Between the steps of the collector, in order, and after an object without a row was deleted.
        *(f"garbage.{step}" for step in ("marked", "retired", "deleted", "buried", "orphan.deleted")),
        # Before bytes are written to a file of the local store.
        "store.file.write",
    }
)
"""Every failpoint there is. A test asserts that each fires in some proof."""
_ACTION = re.compile(
    r"(?P<verb>kill|stop|hang|error|sleep|oserror)(?:\((?P<argument>[0-9.]+)\))?(?:@(?P<nth>[1-9]\d*))?"
)


class FailpointError(Exception):
    """An armed failpoint failed on purpose."""


@dataclass(slots=True)
class _Armed:
    act: Callable[[], None]
    nth: int
    """0: every time."""
    passed: int = 0


class Failpoints:
    """What is armed in this process. Safe from any thread."""

    def __init__(self, spec: str, log: str = "") -> None:
        """Raises: ValueError for a spec that cannot be read or names what does not exist."""
        self._armed = {name: _Armed(act, nth) for name, act, nth in map(_read, filter(None, spec.split(";")))}
        self._log = log
        self._lock = threading.Lock()

    def hit(self, name: str) -> None:
        """Do what is armed for `name`.

        Raises: FailpointError or OSError when that is what was armed.
        """
        armed = self._armed.get(name)
        if armed is None:
            if name not in NAMES:
                raise ValueError(f"there is no failpoint {name!r}; add it to NAMES")
            return
        with self._lock:
            armed.passed += 1
            fires = armed.nth in {0, armed.passed}
            if fires and self._log:
                _append(self._log, name)
        if fires:
            armed.act()


def _read(entry: str) -> tuple[str, Callable[[], None], int]:
    name, _, text = entry.strip().partition("=")
    found = _ACTION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{ARMED_BY}: {entry!r} is not NAME=ACTION, such as write.commit.before=kill@2")
    if name not in NAMES:
        raise ValueError(f"{ARMED_BY}: there is no failpoint {name!r}")
    argument = found["argument"]
    if (found["verb"] in {"sleep", "oserror"}) is not (argument is not None):
        raise ValueError(f"{ARMED_BY}: {text!r}: only sleep and oserror take a number, and they need one")
    return name, _act(found["verb"], name, float(argument or 0)), int(found["nth"] or 0)


def _act(verb: str, name: str, argument: float) -> Callable[[], None]:
    def fail(error: Exception) -> None:
        raise error

    acts: Mapping[str, Callable[[], None]] = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
        "hang": lambda: time.sleep(24 * 3600),
        "sleep": lambda: time.sleep(argument),
        "error": lambda: fail(FailpointError(f"failpoint {name} is armed")),
        "oserror": lambda: fail(OSError(int(argument), os.strerror(int(argument)))),
    }
    return acts[verb]


def _append(path: str, name: str) -> None:
    # Written at once and whole: the next step may be SIGKILL, and replicas share the file.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"{name}\n".encode())
    finally:
        os.close(handle)


def _nothing(name: str) -> None:
    """An unarmed process."""


_SPEC = os.environ.get(ARMED_BY, "")
armed = bool(_SPEC)
"""Whether this process was started for a proof; the server says so in its log."""
failpoint: Callable[[str], None] = Failpoints(_SPEC, os.environ.get(LOGGED_TO, "")).hit if armed else _nothing
