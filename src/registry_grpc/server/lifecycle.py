"""The life of the process: its loop, its signals, its directory."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
GC_THRESHOLD = 20_000
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger("registry_grpc.server")


def run(main: Coroutine[Any, Any, T], *, uvloop: bool) -> T:
    """Run `main` to its end, on uvloop where that is wished and there is one."""
    with asyncio.Runner(loop_factory=_loop_factory() if uvloop else None) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop as library  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return library.new_event_loop


class Signals:
    """Turns the first SIGTERM or SIGINT into an event; the second calls `again` and ends the process at once."""

    def __init__(self, again: Callable[[], object] | None = None) -> None:
        self._asked = asyncio.Event()
        self._again = again
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._received, number)

    async def wait(self) -> None:
        """Return when the process should end."""
        await self._asked.wait()

    def close(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def _received(self, number: int) -> None:
        if self._asked.is_set():
            if self._again is not None:
                self._again()
            os._exit(128 + number)
        _LOG.info("stopping", extra={"signal": signal.Signals(number).name})
        self._asked.set()


def settle_garbage() -> None:
    """Take what start-up made out of the collector's sight: walking it again and again cost 10 % of the throughput."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def prepare_data_dir(path: Path) -> None:
    """Make the directory, for this user only. One that is there keeps its mode.

    Raises: OSError.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
