"""The server: opens the listeners over what the composition root made, and closes them in order."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable
from typing import Self

from grpc import aio
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry

from registry_grpc import __version__
from registry_grpc.auth.authorization import Authorizer
from registry_grpc.observability.access_log import AccessLog
from registry_grpc.observability.edge import EdgeReport
from registry_grpc.observability.health import Health, HealthServicer
from registry_grpc.observability.http import MetricsServer
from registry_grpc.observability.logs import use_json
from registry_grpc.observability.metrics import Metrics
from registry_grpc.observability.recorder import Recorder
from registry_grpc.server.certificates import Certificates
from registry_grpc.server.composition import Compose, Composition, Foundation, Hook
from registry_grpc.server.heaps import give_back_often
from registry_grpc.server.interceptors.denials import Denials
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.registrar import Registrar
from registry_grpc.server.lifecycle import Signals, prepare_data_dir, settle_garbage
from registry_grpc.server.limits import Limits
from registry_grpc.server.listeners import MAX_STREAMS, BindError, Listener, bind, server_options
from registry_grpc.server.pools import CONTROL_WAIT_S, Pool
from registry_grpc.server.reflection import add_reflection
from registry_grpc.server.settings import Settings
from registry_grpc.server.watchdog import Watchdog

_LOG = logging.getLogger("registry_grpc.server")


class Server:
    """One server process. `build`, `start`, `stop`, in this order, all on one loop."""

    def __init__(self, foundation: Foundation, composition: Composition) -> None:
        """Use `build`."""
        settings = foundation.settings
        self.settings = settings
        self.metrics = foundation.metrics
        self.health = Health(composition.probes)
        self.ports: list[int] = []
        """Port of each listener, as they stand in the settings; the health listener's last."""
        self._foundation = foundation
        self._composition = composition
        access_log = AccessLog(
            sys.stderr,
            json=use_json(settings.log_format, sys.stderr),
            # A call that went well is information, one that did not is a warning.
            failures_only=settings.log_level in {"warning", "error"},
        )
        self._recorder = Recorder(self.metrics.rpc, access_log)
        self._desk = Desk(
            composition.authenticator,
            Authorizer(composition.access),
            self._recorder,
            Denials(composition.record_occurrences, self.metrics),
            composition.limits or Limits(self.metrics),
            max_in_flight=settings.max_in_flight,
            max_per_principal=settings.max_in_flight_per_principal,
        )
        self._servers: list[aio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics_server: MetricsServer | None = None
        report = EdgeReport(self.metrics)
        self._watchdog = Watchdog(report, stall_s=settings.loop_stall_s)
        self._certificates = (
            Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca, report)
            if settings.tls_cert and settings.tls_key
            else None
        )

    @classmethod
    async def build(cls, settings: Settings, compose: Compose) -> Self:
        """A server over what `compose` makes; nothing listens yet."""
        prepare_data_dir(settings.data_dir)
        foundation = Foundation(
            settings=settings,
            metrics=Metrics(CollectorRegistry(), __version__),
            control=Pool("control", settings.control_threads, max_wait_s=CONTROL_WAIT_S),
            transfer=Pool("transfer", settings.transfer_threads, in_background=True),
        )
        return cls(foundation, await compose(foundation))

    async def start(self) -> None:
        """Take calls. What was opened is closed again when something fails.

        Raises: BindError, MissingPermissionError, and what a start hook raises.
        """
        try:
            await self._start()
        except BaseException:
            await self._close(grace_s=0)
            raise
        settle_garbage()
        _LOG.info("serving", extra={"listen": [str(each) for each in self.settings.listeners]})

    async def _start(self) -> None:
        registrar = self._registrar()
        await _all(self._composition.on_start)
        await self.health.poll()
        self._tasks = [
            asyncio.create_task(self.health.run(), name="health"),
            asyncio.create_task(give_back_often(self._foundation.transfer), name="heaps"),
        ]
        self._watchdog.start()
        self._desk.streams.start()
        self._desk.denials.start()
        await self._listen(self.settings.listeners, registrar)
        if self.settings.health_listener is not None:
            await self._listen((self.settings.health_listener,), self._health_registrar(registrar))
        self._listen_for_metrics()

    async def serve(self, signals: Signals) -> None:
        """Go on until a signal to stop, or until this process cannot; then `stop`.

        Raises: why it cannot.
        """
        asked, unfit = asyncio.ensure_future(signals.wait()), asyncio.ensure_future(self._composition.unfit())
        await asyncio.wait({asked, unfit}, return_when=asyncio.FIRST_COMPLETED)
        error = None if asked.done() else unfit.result()
        asked.cancel()
        unfit.cancel()
        if error is not None:
            _LOG.critical("this server cannot go on", extra={"error": error.message})
        await self.stop()
        if error is not None:
            raise error

    async def stop(self) -> None:
        """Leave: not ready, wait for balancers, tell the streams, let calls end, close."""
        self.health.drain()
        if not all(each.is_loopback for each in self.settings.listeners):
            await asyncio.sleep(self.settings.drain_wait_s)
        await _all(self._composition.on_drain)
        await self._close(grace_s=self.settings.drain_s)

    async def _close(self, *, grace_s: float) -> None:
        await asyncio.gather(*(server.stop(grace_s) for server in self._servers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._desk.streams.stop()
        await self._desk.denials.stop()
        await _all(self._composition.on_stop)
        self._watchdog.close()
        if self._metrics_server is not None:
            self._metrics_server.close()
        self._foundation.transfer.close()
        self._foundation.control.close()
        self._recorder.flush()

    def _registrar(self) -> Registrar:
        registrar = Registrar(self._desk, self.metrics.rpc, self._composition.shortcuts)
        for add in self._composition.servicers:
            add(registrar)
        services = registrar.services
        health = HealthServicer(self.health, services)
        health_pb2_grpc.add_HealthServicer_to_server(health, registrar)
        if self.settings.reflection:
            add_reflection(registrar, registrar.services)
        return registrar

    def _health_registrar(self, main: Registrar) -> Registrar:
        registrar = Registrar(self._desk, self.metrics.rpc)
        health = HealthServicer(self.health, main.services)
        health_pb2_grpc.add_HealthServicer_to_server(health, registrar)
        return registrar

    async def _listen(self, listeners: Iterable[Listener], registrar: Registrar) -> None:
        """One gRPC server for listeners that serve the same."""
        server = aio.server(
            options=server_options(
                max_message_bytes=self.settings.max_message_bytes,
                max_connections=self.settings.max_connections,
                max_connection_age_s=self.settings.max_connection_age_s,
                max_connection_age_grace_s=self.settings.max_connection_age_grace_s,
                reuse_port=self.settings.workers > 1,
            ),
            maximum_concurrent_rpcs=MAX_STREAMS,
        )
        registrar.install(server)
        self._servers.append(server)
        self.ports += [bind(server, each, self._certificates) for each in listeners]
        await server.start()

    def _listen_for_metrics(self) -> None:
        listener = self.settings.metrics_listener
        if listener is None:
            return
        try:
            self._metrics_server = MetricsServer(
                self.metrics.registry, lambda: self.health.failing, listener.host, listener.port
            )
        except OSError as error:
            raise BindError(f"cannot listen on {listener.address} for metrics: {error}") from None

    @property
    def metrics_port(self) -> int:
        """Port of `/metrics`; 0 when it is off."""
        return self._metrics_server.port if self._metrics_server else 0


async def _all(hooks: Iterable[Hook]) -> None:
    for hook in hooks:
        running = hook()
        if running is not None:
            await running
