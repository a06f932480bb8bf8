"""Watches the event loop from a thread: how late it runs, and where it is stuck.

Only a thread can tell: what blocks the loop blocks every task that could measure it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from typing import Protocol

INTERVAL_S = 0.5
_FRAMES = 12
_LOG = logging.getLogger("registry_grpc.loop")


class LagReport(Protocol):
    """Whoever wants to know how late the loop is. Called from the watching thread."""

    def loop_lagged(self, seconds: float) -> None:
        """The loop last ran, or has still not run, this much too late."""

    def loop_stalled(self) -> None:
        """It was found stuck for longer than it may be."""


class Watchdog:
    """Start it on the loop it watches."""

    def __init__(self, report: LagReport, *, stall_s: float) -> None:
        self._report = report
        self._stall_s = stall_s
        self._loop: asyncio.AbstractEventLoop
        self._loop_thread = 0
        self._answered = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(INTERVAL_S * 2)

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self._answered.clear()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:
                # The loop is closed.
                return
            if not self._answered.wait(self._stall_s) and not self._ended.is_set():
                self._tell(time.monotonic() - asked)
                while not self._answered.wait(INTERVAL_S) and not self._ended.is_set():
                    self._report.loop_lagged(time.monotonic() - asked)
                _LOG.warning("the event loop runs again", extra={"stuck_s": round(time.monotonic() - asked, 3)})
            self._report.loop_lagged(time.monotonic() - asked)

    def _tell(self, seconds: float) -> None:
        self._report.loop_lagged(seconds)
        self._report.loop_stalled()
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way to another thread's stack
        stack = traceback.extract_stack(frame)[-_FRAMES:] if frame else []
        _LOG.error(
            "the event loop is stuck: something blocks it",
            extra={
                "stuck_s": round(seconds, 3),
                "stack": [f"{each.filename}:{each.lineno} {each.name}" for each in stack],
            },
        )
