"""One reconciliation: look, choose, verify, bring in, settle, tell. What is decided, `plan` decides."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from registry_grpc.client.errors import RegistryError
from registry_grpc.controller.kube import Kube, KubeError, Object, Resource
from registry_grpc.controller.memory import Condition, Memory, merged
from registry_grpc.controller.metrics import ControllerMetrics
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.plan import FINISHED, Choice, Fault, Report, Settled, choose, settle
from registry_grpc.controller.queue import Key
from registry_grpc.controller.recorder import Recorder, news
from registry_grpc.controller.rollouts import Rollout, rollout_of
from registry_grpc.controller.source import AWAY, Place, Source
from registry_grpc.controller.spec import API_VERSION, GROUP, KIND, PLURAL, Mode, Spec, SpecError, Target, parse_spec
from registry_grpc.controller.targets import Targets

DEPLOYMENTS = Resource(API_VERSION, KIND, PLURAL)
FINALIZER = f"{GROUP}/release"
_SOON_S = 5.0
_NOT_FOUND = 404
_logger: Any = structlog.get_logger("registry_grpc.controller")


@dataclass(frozen=True, slots=True)
class Where:
    """What the registry is told of where things run."""

    environment: str
    cluster: str


@dataclass(slots=True)
class Known:
    """What this process remembers of a ModelDeployment: newer than what a watch may have told."""

    uid: str
    memory: Memory
    written: dict[str, Any] | None = None
    """The status, as it was written last."""
    reported: Report | None = None
    deployment: str = ""
    """Resource name in the registry."""


class Reconciler:
    """Brings ModelDeployments to what they ask for. One key is never worked on twice at a time."""

    def __init__(
        self,
        kube: Kube,
        source: Source,
        recorder: Recorder,
        metrics: ControllerMetrics,
        where: Where,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._source = source
        self._targets = Targets(kube)
        self._recorder = recorder
        self._metrics = metrics
        self._where = where
        self._clock = clock
        self._known: dict[Key, Known] = {}
        self._lock = threading.Lock()

    def reconcile(self, key: Key, found: Object) -> float | None:
        """Bring one to what it asks for; seconds after which to come back, None for never.

        Raises: KubeError when the cluster does not answer.
        """
        found = found | {"apiVersion": API_VERSION, "kind": KIND}
        if found["metadata"].get("deletionTimestamp"):
            self._release(key, found)
            return None
        known = self._remembered(key, found)
        try:
            spec = parse_spec(found["spec"])
        except SpecError as error:
            self._say_invalid(found, known, str(error))
            return None
        if spec.target is not None:
            self._hold(key, found)
        generation = found["metadata"]["generation"]
        pin = self._source.find(spec)
        choice = self._chosen(spec, generation, known.memory, pin)
        fault, rollout = self._bring_in(key, spec, found["metadata"]["uid"], choice)
        settled = settle(
            spec,
            generation,
            known.memory,
            found=pin,
            choice=choice,
            fault=fault,
            rollout=rollout,
            now=self._clock(),
        )
        self._write(found, known, settled.memory)
        if fault is not None and fault.reason == "TargetNotFound":
            # Nothing runs there that a heartbeat could speak for.
            known.deployment, known.reported = "", None
        self._report(key, spec, known, settled)
        return self._pause(spec, choice, settled, pin)

    def forget(self, key: Key) -> None:
        """It is gone."""
        with self._lock:
            self._known.pop(key, None)

    def beat(self) -> list[Key]:
        """Tell the registry that everything reported still runs; the keys of what it wants reported anew."""
        with self._lock:
            reported = {each.deployment: key for key, each in self._known.items() if each.deployment}
        projects: dict[str, list[str]] = {}
        for name in reported:
            projects.setdefault(name.split("/")[1], []).append(name)
        again = []
        for project, names in projects.items():
            for at in range(0, len(names), 1000):
                try:
                    again += self._source.heartbeat(project, names[at : at + 1000])
                except RegistryError as error:
                    _logger.warning("heartbeat_failed", project=project, reason=error.reason, error=error.message)
        keys = [reported[name] for name in again if name in reported]
        with self._lock:
            for key in keys:
                if key in self._known:
                    self._known[key].reported = None
        return keys

    def _remembered(self, key: Key, found: Object) -> Known:
        uid = found["metadata"]["uid"]
        with self._lock:
            known = self._known.get(key)
            if known is None or known.uid != uid:
                known = self._known[key] = Known(uid, Memory.from_status(found.get("status") or {}))
            return known

    def _chosen(self, spec: Spec, generation: int, memory: Memory, pin: Pin | Fault) -> Choice:
        """The choice, verified when it is a new one."""
        choice = choose(spec, generation, memory, pin, self._clock())
        if not choice.is_new or choice.pin is None:
            return choice
        fault = self._source.verify(spec, choice.pin)
        return choice if fault is None else Choice(memory.applied, held=fault)

    def _bring_in(self, key: Key, spec: Spec, uid: str, choice: Choice) -> tuple[Fault | None, Rollout]:
        """Write the choice where it goes; what came of that."""
        if choice.pin is None:
            return None, FINISHED
        if spec.mode is Mode.RESOLVE or spec.target is None:
            write = spec.config_map and not spec.suspend
            return (self._targets.tell(key, spec, uid, choice.pin) if write else None), FINISHED
        return self._write_target(key, spec, spec.target, choice)

    def _write_target(self, key: Key, spec: Spec, target: Target, choice: Choice) -> tuple[Fault | None, Rollout]:
        assert choice.pin is not None  # noqa: S101 -- for the type checker
        workload = self._targets.look(key, target)
        if not isinstance(workload, Fault) and not spec.suspend:
            workload = self._targets.write(key, spec, target, workload, choice.pin)
        if isinstance(workload, Fault):
            return workload, FINISHED
        if choice.is_new:
            self._metrics.rollouts.labels("begun").inc()
            _logger.info("applied", deployment=str(key), uri=choice.pin.uri, target=f"{target.kind}/{target.name}")
        return None, rollout_of(workload)

    def _write(self, found: Object, known: Known, memory: Memory) -> None:
        """Write the status when it changed, then tell what is new in it."""
        before, known.memory = known.memory, memory
        status = memory.as_status(found["metadata"]["generation"])
        if status == known.written:
            return
        metadata = found["metadata"]
        try:
            self._kube.merge(DEPLOYMENTS, metadata["namespace"], metadata["name"], {"status": status}, "status")
        except KubeError as error:
            if error.status != _NOT_FOUND:
                known.written = None
                raise
        known.written = status
        for kind, reason, action, note in news(before.conditions, memory.conditions):
            self._recorder.tell(found, kind, reason, action, note)

    def _say_invalid(self, found: Object, known: Known, message: str) -> None:
        now, generation = self._clock(), found["metadata"]["generation"]
        wanted = [Condition("Ready", "False", "InvalidSpec", message)]
        self._write(
            found, known, replace(known.memory, conditions=merged(known.memory.conditions, wanted, generation, now))
        )

    def _report(self, key: Key, spec: Spec, known: Known, settled: Settled) -> None:
        """Tell the registry what runs, when that is news."""
        report = settled.report
        if report is None or report == known.reported:
            return
        workload = f"{spec.target.kind}/{spec.target.name}" if spec.target else key.name
        place = Place(self._where.environment, self._where.cluster, key.namespace, workload)
        try:
            known.deployment = self._source.report(spec, place, report)
        except RegistryError as error:
            self._metrics.reports.labels("failed").inc()
            _logger.warning("report_failed", deployment=str(key), reason=error.reason, error=error.message)
            return
        known.reported = report
        self._metrics.reports.labels("told").inc()
        if report.state == "failed":
            self._metrics.rollouts.labels("rolled_back" if settled.again else "failed").inc()
            _logger.warning("rollout_failed", deployment=str(key), uri=report.pin.uri, message=report.message)

    def _pause(self, spec: Spec, choice: Choice, settled: Settled, pin: Pin | Fault) -> float:
        if settled.again:
            return 0.0
        # Spread, so that what was made together is not asked for together for ever.
        pauses = [spec.interval_s * random.uniform(0.9, 1.1)]  # noqa: S311 -- guards nothing
        if choice.until is not None:
            pauses.append(max(0.0, (choice.until - self._clock()).total_seconds()) + 0.1)
        if AWAY in {getattr(pin, "reason", ""), choice.held.reason if choice.held else ""}:
            pauses.append(_SOON_S)
        memory = settled.memory
        if spec.progress_deadline_s is not None and memory.applied is not None and memory.good != memory.applied:
            began = datetime.fromisoformat(memory.applied_time)
            pauses.append(max(0.5, spec.progress_deadline_s - (self._clock() - began).total_seconds() + 1))
        return min(pauses)

    def _hold(self, key: Key, found: Object) -> None:
        """See to it that it cannot go before the fields of its target are given up."""
        metadata = found["metadata"]
        held = metadata.get("finalizers") or []
        if FINALIZER not in held:
            # With the resourceVersion: a list is replaced whole, and somebody else may add to it meanwhile.
            body = {"metadata": {"finalizers": [*held, FINALIZER], "resourceVersion": metadata["resourceVersion"]}}
            changed = self._kube.merge(DEPLOYMENTS, key.namespace, key.name, body)
            metadata["finalizers"] = changed["metadata"]["finalizers"]

    def _release(self, key: Key, found: Object) -> None:
        """It is being deleted: the target keeps what it has, and belongs to nobody."""
        metadata = found["metadata"]
        known = self._remembered(key, found)
        held = metadata.get("finalizers") or []
        if FINALIZER not in held:
            return
        target = found["spec"].get("target")
        there = target is not None and self._targets.let_go(
            key, Target(target["apiVersion"], target["kind"], target["name"])
        )
        if known.deployment and not there:
            # Of a target that is still there nobody knows that it stopped: its deployment goes stale instead.
            try:
                self._source.retire(known.deployment.split("/")[1], known.deployment)
            except RegistryError as error:
                _logger.warning("retire_failed", deployment=str(key), reason=error.reason, error=error.message)
        rest = [each for each in held if each != FINALIZER]
        body = {"metadata": {"finalizers": rest, "resourceVersion": metadata["resourceVersion"]}}
        try:
            self._kube.merge(DEPLOYMENTS, key.namespace, key.name, body)
        except KubeError as error:
            if error.status != _NOT_FOUND:
                raise


def timed(metrics: ControllerMetrics, work: Callable[[], float | None]) -> float | None:
    """What `work` returns, counted and timed. Raises: what it raises."""
    began = time.monotonic()
    try:
        pause = work()
    except KubeError:
        metrics.reconciles.labels("failed").inc()
        raise
    finally:
        metrics.seconds.observe(time.monotonic() - began)
    metrics.reconciles.labels("done").inc()
    return pause
