"""Progress bars on stderr, and nothing when nobody watches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry_grpc.cli.context import Globals

if TYPE_CHECKING:
    from registry_grpc.client.progress import Progress, Report

VERBS = {"hash": "hashing", "upload": "sending", "attach": "held", "download": "fetching", "cached": "cached"}


@contextmanager
def reporter(chosen: Globals) -> Iterator[Report | None]:
    """What to give a transfer as `progress`; None when nobody watches."""
    if not chosen.shows_progress:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.fields[verb]:>8} {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, int] = {}
    lock = threading.Lock()

    def report(progress: Progress) -> None:
        with lock:
            if progress.path not in tasks:
                tasks[progress.path] = bars.add_task(progress.path, total=progress.size_bytes, verb="")
            task = tasks[progress.path]
        bars.update(
            task,  # type: ignore[arg-type]
            completed=progress.done_bytes,
            verb=VERBS[progress.phase],
            visible=progress.done_bytes < progress.size_bytes,
        )

    with bars:
        yield report
