"""The registry, as the controller needs it: what to deploy, whether to, and telling what runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from registry_grpc.client.errors import IntegrityError, RegistryError
from registry_grpc.client.retries import is_transient
from registry_grpc.client.watch import Kind
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.plan import Fault, Report
from registry_grpc.controller.spec import Signature, Spec
from registry_grpc.v1 import evidence_pb2

if TYPE_CHECKING:
    from registry_grpc.client.registry import Registry

HEARTBEAT_TTL = timedelta(minutes=5)
AWAY = "RegistryUnavailable"
_BEHIND_S = 2.0
"""Longest wait for a replica that has not seen yet what a watch told."""
_PAUSE_S = 5.0
_logger: Any = structlog.get_logger("registry_grpc.controller")
Moved = Callable[[str, str, str], None]
"""Called with project, model and stage when another version may hold it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something runs, as the registry names it."""

    environment: str
    cluster: str
    namespace: str
    workload: str


class Source:
    """One registry, whatever projects are asked for. For any number of threads."""

    def __init__(self, connect: Callable[[str], Registry]) -> None:
        """`connect` makes the SDK's Registry for a project."""
        self._connect = connect
        self._projects: dict[str, Registry] = {}
        self._seen: dict[tuple[str, str, str], tuple[int, float]] = {}
        """Stage to the revision a watch told, and when."""
        self._lock = threading.Lock()

    def project(self, project: str) -> Registry:
        """The registry for a project."""
        with self._lock:
            if project not in self._projects:
                self._projects[project] = self._connect(project)
            return self._projects[project]

    def find(self, spec: Spec) -> Pin | Fault:
        """The version that is to run, or why there is none."""
        pinned = f"@{spec.digest}" if spec.digest else ""
        registry = self.project(spec.project)
        try:
            answer = registry.resolve(spec.reference + pinned)
            while answer.pointer_revision < self._told(spec):
                time.sleep(0.05)
                answer = registry.resolve(spec.reference)
        except RegistryError as error:
            return fault_of(error)
        if not answer.manifest_digest:
            return Fault("NotFinalized", f"version {answer.version_number} is a draft; finalize it")
        return Pin(answer.version_number, answer.manifest_digest, answer.location)

    def verify(self, spec: Spec, pin: Pin) -> Fault | None:
        """Why a version must not come in; None when it may.

        The digest that the stage named is held against that of the version itself.
        """
        registry = self.project(spec.project)
        version = f"{spec.project}:{spec.model}/{pin.version}"
        try:
            if registry.resolve(f"{version}@{pin.digest}").yanked:
                return Fault("Yanked", f"version {pin.version} was yanked; promote another one")
            if spec.signature is Signature.OFF:
                return None
            return _signature_fault([*registry.signatures.list(version)], spec, pin)
        except RegistryError as error:
            return fault_of(error)

    def report(self, spec: Spec, place: Place, report: Report) -> str:
        """Tell what runs; the resource name of the deployment.

        Raises: RegistryError.
        """
        deployments = self.project(spec.project).deployments
        made = deployments.report(
            f"{spec.project}:{spec.model}/{report.pin.version}",
            state=report.state,
            stage=spec.stage,
            message=report.message[:1000],
            manifest_digest=report.pin.digest,
            heartbeat_ttl=HEARTBEAT_TTL,
            environment=place.environment,
            cluster=place.cluster,
            namespace=place.namespace,
            workload=place.workload,
        )
        return made.name

    def heartbeat(self, project: str, names: list[str]) -> list[str]:
        """Say that these still run; the names of those to report anew. Raises: RegistryError."""
        return self.project(project).deployments.heartbeat(*names)

    def retire(self, project: str, name: str) -> None:
        """Say that this does not run any more. Raises: RegistryError."""
        self.project(project).deployments.retire(name)

    def follow(self, project: str, moved: Moved, stop: threading.Event) -> None:
        """Tell of every stage that moves, from now on until told to stop; for a thread of its own."""
        while not stop.is_set():
            try:
                with self.project(project).watch(types=["Stage"]) as changes:
                    for change in changes:
                        if stop.is_set():
                            return
                        if change.event is not None and change.event.HasField("stage"):
                            self._moved(change.event.stage.name, change.revision, change.kind, moved)
            except RegistryError as error:
                # Whatever passes by itself the watch waits for: this is a right or a token.
                _logger.warning("registry_watch_refused", project=project, reason=error.reason, error=error.message)
                stop.wait(_PAUSE_S)

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            for registry in self._projects.values():
                registry.close()

    def _moved(self, name: str, revision: int, kind: Kind, moved: Moved) -> None:
        """`name` is `projects/{project}/models/{model}/stages/{stage}`."""
        _, project, _, model, _, stage = name.split("/")
        if kind is Kind.EVENT:
            with self._lock:
                self._seen[project, model, stage] = (revision, time.monotonic())
        moved(project, model, stage)

    def _told(self, spec: Spec) -> int:
        """The revision an answer must have reached: what a watch told a moment ago. Later nothing is asked for.

        The registry may have been put back to an older state since.
        """
        with self._lock:
            revision, when = self._seen.get((spec.project, spec.model, spec.stage), (0, 0.0))
        return revision if time.monotonic() - when < _BEHIND_S else 0


def fault_of(error: RegistryError) -> Fault:
    """Why the registry gave no answer, in the words of a condition."""
    if isinstance(error, IntegrityError):
        return Fault("DigestMismatch", error.message)
    if is_transient(error):
        return Fault(AWAY, error.message, passing=True)
    words = "".join(word.capitalize() for word in error.reason.split("_"))
    return Fault(words or type(error).__name__, error.message)


def _signature_fault(signatures: list[evidence_pb2.ModelSignature], spec: Spec, pin: Pin) -> Fault | None:
    valid = evidence_pb2.ModelSignature.VERDICT_VALID
    if any(each.verdict == valid and each.manifest_digest == pin.digest for each in signatures):
        return None
    if not signatures:
        if spec.signature is Signature.IF_PRESENT:
            return None
        return Fault("SignatureMissing", f"version {pin.version} has no signature; sign it with `mreg sign`")
    said = "; ".join(each.failure for each in signatures[-3:])
    return Fault("SignatureInvalid", f"no signature of version {pin.version} is valid: {said}")
