"""The jobs that exactly one replica runs: expiry, collection, retention, and the gauges that are computed from SQL.

Leadership is a lease row with an epoch, judged by the database's clock. Every job is safe to run twice, so that a
replica that was deposed without noticing does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry_grpc.ports.store import Store
    from registry_grpc.server.pools import Pool

LEASE = "leader"
TTL = timedelta(seconds=30)
RENEW_S = 10.0
RETRY_S = 60.0
"""Longest pause after a job failed."""
_LOG = logging.getLogger("registry_grpc.leader")


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do from time to time. Blocking."""

    name: str
    every_s: float
    run: Callable[[], object]


class JobObserver(Protocol):
    """Told how each run of a job went. On the event loop."""

    def ended(self, job: str, seconds: float) -> None:
        """It ended well."""

    def failed(self, job: str, seconds: float, error: Exception) -> None:
        """It failed."""

    def deposed(self) -> None:
        """This replica leads no more."""


class Leader:
    """Runs the jobs while this replica holds the lease."""

    def __init__(self, store: Store, pool: Pool, holder: str, jobs: Sequence[Job], observer: JobObserver) -> None:
        """`holder` is unique to this process."""
        self._observer = observer
        self._renewed = 0.0
        self._store = store
        self._pool = pool
        self._holder = holder
        self._jobs = jobs
        self._due = dict.fromkeys((job.name for job in jobs), 0.0)
        self._task: asyncio.Task[None] | None = None
        self.epoch: int | None = None
        """Epoch of the lease; None while another replica leads."""

    def start(self) -> None:
        """Begin to stand for election."""
        self._task = asyncio.create_task(self._run(), name="leader")

    async def stop(self) -> None:
        """Give the lease back, so that another replica leads at once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self.epoch is not None:
            with contextlib.suppress(Exception):
                await self._pool.run(self._store.release_lease, LEASE, self._holder)
            self.epoch = None

    async def _run(self) -> None:
        while True:
            led = self.epoch is not None
            try:
                await self._lead()
            except Exception as error:  # noqa: BLE001 - whatever fails is tried again; it is reported
                self.epoch = None
                _LOG.warning("leader jobs failed", exc_info=error)
            if led and self.epoch is None:
                self._observer.deposed()
            await asyncio.sleep(RENEW_S)

    async def _lead(self) -> None:
        if not await self._renew():
            return
        for job in self._jobs:
            if time.monotonic() < self._due[job.name]:
                continue
            # Long jobs before this one may have used the lease up.
            if time.monotonic() - self._renewed >= RENEW_S and not await self._renew():
                return
            await self._do(job)

    async def _renew(self) -> bool:
        """Take or keep the lease; whether this replica leads."""
        before, began = self.epoch, time.monotonic()
        self.epoch = await self._pool.run(self._store.acquire_lease, LEASE, self._holder, TTL)
        self._renewed = began
        if self.epoch != before:
            _LOG.info("leadership changed", extra={"epoch": self.epoch, "leads": self.epoch is not None})
        return self.epoch is not None

    async def _do(self, job: Job) -> None:
        """Run a job; one that fails is tried again before long and keeps no other from its turn."""
        began = time.monotonic()
        try:
            await self._pool.run(job.run)
        except Exception as error:  # noqa: BLE001 - whatever fails is tried again; the observer reports it
            wait_s = min(job.every_s, RETRY_S)
            self._observer.failed(job.name, time.monotonic() - began, error)
        else:
            wait_s = job.every_s
            self._observer.ended(job.name, time.monotonic() - began)
        self._due[job.name] = time.monotonic() + wait_s
