"""Liveness and readiness as grpc.health.v1: the one service anyone may call without a token.

`""`, `registry_grpc.v1` and each service are ready when every probe is; `liveness` says only that the loop runs, so
that a database outage never restarts the servers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

LIVENESS = "liveness"
READINESS = "registry_grpc.v1"
POLL_S = 1.0
PROBE_TIMEOUT_S = 2.0
"""Well above a slow answer: a server on a busy machine that calls itself unready hands its load to the others."""
MAX_WATCHERS = 256
Probe = Callable[[], Awaitable[object]]
"""Returns when its dependency works; raises, or hangs, when it does not."""
_LOG = logging.getLogger("registry_grpc.health")
_Status = health_pb2.HealthCheckResponse


class Health:
    """What is known of the dependencies, polled in the background."""

    def __init__(self, probes: Mapping[str, Probe], poll_s: float = POLL_S) -> None:
        """Not ready before the first `poll`."""
        self._probes = probes
        self._poll_s = poll_s
        self._failing: dict[str, str] = dict.fromkeys(probes, "not asked yet")
        self._draining = False
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether this process should get calls."""
        return not self._failing and not self._draining

    @property
    def failing(self) -> Mapping[str, str]:
        """What keeps this process from being ready, and why: dependencies that do not work, or its own end."""
        return {**self._failing, "process": "it is stopping"} if self._draining else dict(self._failing)

    def drain(self) -> None:
        """Say that this process is going; final."""
        self._draining = True
        self._announce()

    async def poll(self) -> None:
        """Ask every probe once, all at the same time."""
        names = list(self._probes)
        faults = await asyncio.gather(*(self._fault(name) for name in names))
        failing = {name: fault for name, fault in zip(names, faults, strict=True) if fault}
        if failing.keys() != self._failing.keys():
            _LOG.warning("readiness changed", extra={"failing": failing})
            self._failing = failing
            self._announce()
        self._failing = failing

    async def _fault(self, name: str) -> str:
        limit = asyncio.timeout(PROBE_TIMEOUT_S)
        try:
            async with limit:
                await self._probes[name]()
        except Exception as error:  # noqa: BLE001 - a probe fails by raising anything
            return f"no answer within {PROBE_TIMEOUT_S:g} s" if limit.expired() else f"{type(error).__name__}: {error}"
        return ""

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            await asyncio.sleep(self._poll_s)

    async def wait_for_change(self) -> None:
        """Return after the next change of readiness."""
        await self._changed.wait()

    def _announce(self) -> None:
        # A new event each time: everyone who waits on the old one wakes exactly once.
        self._changed.set()
        self._changed = asyncio.Event()


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """grpc.health.v1 over `Health`. Ours, because grpc's own forgets watchers when one of them leaves."""

    def __init__(self, health: Health, services: Iterable[str]) -> None:
        self._health = health
        self._services = frozenset(("", READINESS, *services))
        self._watchers = 0

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - grpc's untyped stubs and name
        """The status of one service; NOT_FOUND for one we do not serve."""
        status = self._status(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return _Status(status=status)

    async def List(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """The status of every service."""
        names = (*sorted(self._services), LIVENESS)
        return health_pb2.HealthListResponse(statuses={name: _Status(status=self._status(name)) for name in names})

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        """The status now, and whenever it changes."""
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watchers of health")
        self._watchers += 1
        try:
            last = None
            while True:
                status = self._status(request.service)
                if status != last:
                    yield _Status(status=status)
                    last = status
                    continue
                await self._health.wait_for_change()
        finally:
            self._watchers -= 1

    def _status(self, service: str) -> Any:  # noqa: ANN401 - grpc's untyped enum
        if service == LIVENESS:
            return _Status.SERVING
        if service not in self._services:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if self._health.ready else _Status.NOT_SERVING
