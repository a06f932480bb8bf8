"""A controller as a whole: what follows what, the workers, and how it starts and stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from registry_grpc.controller.follower import Follower, Told
from registry_grpc.controller.kube import Kube, KubeError, Object, Resource
from registry_grpc.controller.leader import Leader
from registry_grpc.controller.metrics import ControllerMetrics
from registry_grpc.controller.queue import Key, WorkQueue
from registry_grpc.controller.reconciler import DEPLOYMENTS, Reconciler, timed
from registry_grpc.controller.source import Source

BEAT_S = 60.0
_logger: Any = structlog.get_logger("registry_grpc.controller")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one controller is for."""

    namespaces: tuple[str | None, ...]
    """None among them: all there are."""
    workers: int = 4


class Controller:
    """Follows ModelDeployments, their targets and the stages they name. `run` once."""

    def __init__(
        self, kube: Kube, source: Source, reconciler: Reconciler, metrics: ControllerMetrics, scope: Scope
    ) -> None:
        self._kube = kube
        self._source = source
        self._reconciler = reconciler
        self._metrics = metrics
        self._scope = scope
        self._queue = WorkQueue()
        self._found: dict[Key, Object] = {}
        self._followed: set[str] = set()
        """Projects and kinds of targets that a thread follows."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._broken = False
        self.ready = threading.Event()
        """It leads and knows what there is, or it waits for whoever leads."""

    def run(self, leader: Leader | None) -> bool:
        """Work until `stop`, which is True.

        False when the lease was lost or a thread died of a defect: the process must end then.
        """
        self.ready.set()
        if leader is not None and not leader.acquire(self._stop):
            return True
        self._metrics.leader.set(1)
        self._follow(DEPLOYMENTS, self._take)
        for at in range(self._scope.workers):
            self._thread(f"worker-{at}", self._work)
        self._thread("heartbeats", self._beat)
        kept = leader.keep(self._stop) if leader is not None else self._stop.wait()
        self._metrics.leader.set(0)
        self.stop()
        if leader is not None and kept:
            leader.release()
        return kept and not self._broken

    def stop(self) -> None:
        """End `run`; what is being written is written. From any thread."""
        self._stop.set()
        self._queue.close()

    def failing(self) -> Mapping[str, str]:
        """What keeps it from being ready; as of `observability.http`."""
        return {} if self.ready.is_set() else {"controller": "starting"}

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception:
                # A defect. Without this thread it would look alive and be deaf: better to begin anew.
                _logger.exception("thread_broke", thread=name)
                self._broken = True
                self.stop()

        # Daemons: a watch that waits for its next change must not hold up the end of the process.
        threading.Thread(target=guarded, name=name, daemon=True).start()

    def _take(self, key: Key, found: Object | None) -> None:
        """A ModelDeployment is there, changed, or gone."""
        with self._lock:
            if found is None:
                self._found.pop(key, None)
            else:
                before = self._found.get(key)
                self._found[key] = found
                if before is not None and not _is_news(before, found):
                    return
            self._metrics.deployments.set(len(self._found))
        if found is None:
            self._queue.forget(key)
            self._reconciler.forget(key)
            return
        self._follow_what_it_names(found)
        self._queue.add(key)

    def _follow_what_it_names(self, found: Object) -> None:
        spec = found["spec"]
        project = spec.get("project", "default")
        if spec.get("stage"):
            self._once(f"project {project}", lambda: self._source.follow(project, self._moved, self._stop))
        target = spec.get("target")
        if target:
            name, kind = target["apiVersion"], target["kind"]
            self._once(f"kind {name} {kind}", lambda: self._follow_kind(name, kind))

    def _once(self, what: str, work: Callable[[], None]) -> None:
        with self._lock:
            if what in self._followed:
                return
            self._followed.add(what)
        self._thread(what, work)

    def _follow_kind(self, api_version: str, kind: str) -> None:
        """Hear of rollouts at once. A kind that cannot be listed is looked at every `interval` only."""
        resource: Resource | None = None
        while resource is None and not self._stop.is_set():
            try:
                resource = self._kube.resource(api_version, kind)
            except KubeError:
                self._stop.wait(30)
        if resource is not None:
            self._follow(resource, lambda key, _: self._target_changed(api_version, kind, key))

    def _follow(self, resource: Resource, told: Told) -> None:
        for namespace in self._scope.namespaces:
            follower = Follower(self._kube, resource, namespace, told)
            self._thread(f"{resource.plural} {namespace}", partial(follower.run, self._stop))

    def _target_changed(self, api_version: str, kind: str, changed: Key) -> None:
        wanted = {"apiVersion": api_version, "kind": kind, "name": changed.name}
        with self._lock:
            due = [
                key
                for key, found in self._found.items()
                if key.namespace == changed.namespace and found["spec"].get("target") == wanted
            ]
        for key in due:
            self._queue.add(key)

    def _moved(self, project: str, model: str, stage: str) -> None:
        """Another version may hold a stage."""
        with self._lock:
            due = [
                key
                for key, found in self._found.items()
                if (found["spec"].get("project", "default"), found["spec"]["model"], found["spec"].get("stage"))
                == (project, model, stage)
            ]
        for key in due:
            self._queue.add(key)

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            try:
                self._one(key)
            finally:
                self._queue.done(key)
                self._metrics.queue.set(len(self._queue))

    def _one(self, key: Key) -> None:
        with self._lock:
            found = self._found.get(key)
        if found is None:
            return
        try:
            pause_s = timed(self._metrics, lambda: self._reconciler.reconcile(key, found))
        except KubeError as error:
            _logger.warning("reconcile_failed", deployment=str(key), reason=error.reason, error=error.message)
            self._queue.failed(key)
        except Exception:
            # A defect: whatever it is about, the others go on.
            _logger.exception("reconcile_broke", deployment=str(key))
            self._queue.failed(key)
        else:
            self._queue.succeeded(key)
            if pause_s is not None:
                self._queue.add(key, pause_s)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            for key in self._reconciler.beat():
                self._queue.add(key)


def _is_news(before: Object, after: Object) -> bool:
    """Whether more changed than the status, which is our own."""
    one, other = before["metadata"], after["metadata"]
    watched = ("uid", "generation", "deletionTimestamp", "finalizers")
    return any(one.get(each) != other.get(each) for each in watched)
