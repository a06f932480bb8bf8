"""The parent of several server processes behind one port: starts, watches, restarts and ends them.

It takes no calls itself and imports nothing of gRPC's core that has threads. Each worker opens the port anew with
SO_REUSEPORT and the kernel spreads connections over them; the parent holds the port, without listening, so that it
stays theirs while all of them are down, and another server that wants it gets an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from registry_grpc.observability.http import MetricsServer
from registry_grpc.observability.sums import Families, Sums
from registry_grpc.server.lifecycle import Signals
from registry_grpc.server.listeners import BindError, Listener, reserve
from registry_grpc.server.settings import OFF, Settings
from registry_grpc.server.worker import HEALTH, METRICS, READY, UNAVAILABLE_CODE, settings_text

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 30.0
STEADY_S = 60.0
"""A worker that lived this long fell for a new reason: the pauses begin anew."""
ANSWER_S = 2.0
KILL_AFTER_S = 10.0
"""What workers get beyond their own time to drain."""
_LINE_LIMIT = 64 << 20
_MAX_QUESTIONS = 8
_LOG = logging.getLogger("registry_grpc.workers")


class WorkersError(Exception):
    """The workers could not start, or had to be killed."""

    def __init__(self, message: str, *, unavailable: bool = False) -> None:
        super().__init__(message)
        self.unavailable = unavailable
        """Whether something they need is away, so that a later start may do."""


class _Worker:
    """One process and the parent's end of the socket to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.ready = False
        self.last: Families = []
        """Its metrics when they were last asked for."""
        self._reader, self._writer = reader, writer
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._answers = asyncio.create_task(self._read(), name="worker answers")

    def send(self, line: bytes) -> None:
        self._writer.write(line)

    async def ask(self, question: str, within_s: float | None = ANSWER_S) -> Any:  # noqa: ANN401 - JSON
        """The answer; None when the worker is gone, or does not answer in time because it is stopped, say."""
        if self._answers.done() or len(self._waiting) >= _MAX_QUESTIONS:
            return None
        answer = asyncio.get_running_loop().create_future()
        # Answers come in the order of the questions; one that comes too late finds nobody waiting.
        self._waiting.append(answer)
        self.send(question.encode() + b"\n")
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            return None

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(json.loads(line))
        for answer in self._waiting:
            if not answer.done():
                answer.set_result(None)

    def signal(self, number: int) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def close(self) -> None:
        self.ready = False
        self._writer.close()


class Workers(Collector):
    """The parent. `run` it on a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        """Holds the ports from here on.

        Raises: BindError, WorkersError.
        """
        if settings.database.get_secret_value().startswith("sqlite"):
            raise WorkersError("workers: several processes need PostgreSQL, because a SQLite file belongs to one")
        self._settings = settings
        self._held: list[socket.socket] = []
        self.ports: list[int] = []
        listen = tuple(str(self._hold(each)) for each in settings.listeners)
        health = settings.health_listener and str(self._hold(settings.health_listener))
        changes = {"listen": listen, "health_listen": health, "metrics_listen": OFF}
        self._line = settings_text(settings.model_copy(update=changes)).encode() + b"\n"
        self._workers: list[_Worker | None] = [None] * settings.workers
        self._sums = Sums()
        self._metrics_server: MetricsServer | None = None

    def _hold(self, listener: Listener) -> Listener:
        held, listener = reserve(listener)
        self._held.append(held)
        self.ports.append(listener.port)
        return listener

    async def run(self) -> None:
        """Serve until a signal to stop.

        Raises: WorkersError, BindError.
        """
        self._loop = asyncio.get_running_loop()
        signals = Signals(again=lambda: self._signal_all(signal.SIGKILL))
        asked = asyncio.create_task(signals.wait())
        keepers: list[asyncio.Task[None]] = []
        try:
            # The first alone, so that what is made once (the admin token) is there, and a fault is told once.
            for slots in ([0], list(range(1, len(self._workers)))):
                starting = asyncio.ensure_future(self._start_all(slots))
                await asyncio.wait([asked, starting], return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    starting.cancel()
                    return
                workers = starting.result()
                keepers += [asyncio.create_task(self._keep(slot, it)) for slot, it in zip(slots, workers, strict=True)]
            self._listen_for_metrics()
            self._say_ready()
            await asked
        finally:
            for task in (asked, *keepers):
                task.cancel()
            await self._end()

    def _say_ready(self) -> None:
        ready = {
            "ports": self.ports,
            "metrics_port": self._metrics_server.port if self._metrics_server else 0,
            "token_file": str(self._settings.first_token_file),
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    async def _start_all(self, slots: Iterable[int]) -> list[_Worker]:
        return await asyncio.gather(*(self._start(slot) for slot in slots))

    async def _start(self, slot: int) -> _Worker:
        """A worker that takes calls.

        Raises: WorkersError.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "registry_grpc.server.worker", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                # What a terminal sends goes to the parent alone, which passes it on: twice would mean at once.
                process_group=0,
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
        worker = self._workers[slot] = _Worker(process, reader, writer)
        worker.send(self._line)
        answer = await worker.ask(READY, None)
        if answer is None or "failed" in answer:
            code = await process.wait()
            worker.close()
            text = answer["failed"] if answer else f"worker {slot} ended with code {code} before it took calls"
            raise WorkersError(text, unavailable=code == UNAVAILABLE_CODE)
        worker.ready = True
        return worker

    async def _keep(self, slot: int, worker: _Worker) -> None:
        """See to it that the slot has a worker. For ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._loop.time()
            code = await worker.process.wait()
            worker.close()
            self._sums.depart(worker.last)
            worker.last = []
            if self._loop.time() - began > STEADY_S:
                pause_s = FIRST_PAUSE_S
            _LOG.error("a worker ended; it is started again", extra={"worker": slot, "code": code, "pause_s": pause_s})
            worker, pause_s = await self._again(slot, pause_s)

    async def _again(self, slot: int, pause_s: float) -> tuple[_Worker, float]:
        """A new worker, after as many attempts as it takes; and the pause before the next one."""
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(MAX_PAUSE_S, pause_s * 2)
            try:
                worker = await self._start(slot)
            except (OSError, WorkersError) as error:
                _LOG.error(
                    "a worker cannot be started", extra={"worker": slot, "error": str(error), "pause_s": pause_s}
                )
                continue
            _LOG.warning("a worker was started again", extra={"worker": slot, "pid": worker.process.pid})
            return worker, pause_s

    def _signal_all(self, number: int) -> None:
        for worker in self._workers:
            if worker is not None:
                worker.signal(number)

    async def _end(self) -> None:
        """Pass the signal on, wait, kill what does not end.

        Raises: WorkersError when one had to be killed.
        """
        self._signal_all(signal.SIGTERM)
        processes = [worker.process for worker in self._workers if worker is not None]
        patience_s = self._settings.drain_wait_s + self._settings.drain_s + KILL_AFTER_S
        waiting = asyncio.gather(*(process.wait() for process in processes))
        done, _ = await asyncio.wait([waiting], timeout=patience_s)
        if not done:
            self._signal_all(signal.SIGKILL)
            await waiting
        if self._metrics_server is not None:
            self._metrics_server.close()
        for held in self._held:
            held.close()
        if not done:
            raise WorkersError(f"workers did not end within {patience_s:g} s and were killed")

    def _listen_for_metrics(self) -> None:
        listener = self._settings.metrics_listener
        if listener is None:
            return
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        try:
            self._metrics_server = MetricsServer(registry, self._failing, listener.host, listener.port)
        except OSError as error:
            raise BindError(f"cannot listen on {listener.address} for metrics: {error}") from None

    def collect(self) -> Iterator[Metric]:
        """The sum over all workers. Called from the metrics server's thread."""
        return iter(asyncio.run_coroutine_threadsafe(self._totals(), self._loop).result())

    async def _totals(self) -> list[Metric]:
        await self._ask_all(METRICS, _keep_last)
        return self._sums.total(worker.last for worker in self._workers if worker is not None)

    def _failing(self) -> Mapping[str, str]:
        return asyncio.run_coroutine_threadsafe(self._all_failing(), self._loop).result()

    async def _all_failing(self) -> dict[str, str]:
        failing: dict[str, str] = {}
        answered: set[_Worker | None] = set()

        def take(worker: _Worker, answer: dict[str, str]) -> None:
            answered.add(worker)
            failing.update(answer)

        await self._ask_all(HEALTH, take)
        for slot, worker in enumerate(self._workers):
            if worker not in answered:
                failing[f"worker {slot}"] = "it does not answer"
        return failing

    async def _ask_all(self, question: str, take: Callable[[_Worker, Any], object]) -> None:
        ready = [worker for worker in self._workers if worker is not None and worker.ready]
        answers = await asyncio.gather(*(each.ask(question) for each in ready))
        for worker, answer in zip(ready, answers, strict=True):
            if answer is not None:
                take(worker, answer)


def _keep_last(worker: _Worker, answer: Families) -> None:
    worker.last = answer
