"""One of several controllers works: whoever holds a Lease."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from registry_grpc.controller.kube import Kube, KubeError, Object, Resource

LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
_NOT_FOUND, _CONFLICT = 404, 409
_logger: Any = structlog.get_logger("registry_grpc.controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """Which Lease, who we are, and the times. As client-go does it, so that clocks need not agree."""

    namespace: str
    name: str
    identity: str
    lease_s: float = 15.0
    """How long a lease holds that is not renewed, counted by whoever waits from when it saw the last renewal."""
    renew_s: float = 10.0
    """A leader that could not renew for that long stops working."""
    retry_s: float = 2.0


class Leader:
    """Our part in an election. One thread."""

    def __init__(self, kube: Kube, election: Election) -> None:
        self._kube = kube
        self._election = election
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = 0.0

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until we hold the lease; False when told to stop before."""
        while not stop.is_set():
            if self._try():
                _logger.info("leading", lease=self._election.name, identity=self._election.identity)
                return True
            stop.wait(self._election.retry_s)
        return False

    def keep(self, stop: threading.Event) -> bool:
        """Renew until told to stop, which is True, or until the lease is lost, which is False."""
        renewed = time.monotonic()
        while not stop.wait(self._election.retry_s):
            if self._try():
                renewed = time.monotonic()
            elif self._is_taken() or time.monotonic() - renewed > self._election.renew_s:
                _logger.error("lease_lost", lease=self._election.name)
                return False
        return True

    def release(self) -> None:
        """Give the lease back, so that nobody has to wait for its end."""
        try:
            lease = self._kube.get(LEASES, self._election.namespace, self._election.name)
            if lease["spec"].get("holderIdentity") == self._election.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._kube.replace(LEASES, self._election.namespace, lease)
        except KubeError as error:
            _logger.warning("lease_not_released", error=error.message)

    def _try(self) -> bool:
        """Take or renew the lease; whether it is ours now."""
        try:
            lease = self._kube.get(LEASES, self._election.namespace, self._election.name)
        except KubeError as error:
            if error.status == _NOT_FOUND:
                return self._create()
            _logger.warning("lease_not_read", reason=error.reason, error=error.message)
            return False
        return self._take(lease)

    def _is_taken(self) -> bool:
        return self._seen[0] not in {"", self._election.identity}

    def _create(self) -> bool:
        body: Object = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._election.name, "namespace": self._election.namespace},
            "spec": self._spec(0),
        }
        return self._wrote(lambda: self._kube.create(LEASES, self._election.namespace, body))

    def _take(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if (holder, renewed) != self._seen:
            self._seen, self._seen_at = (holder, renewed), time.monotonic()
        ours = holder == self._election.identity
        lasts_s = float(spec.get("leaseDurationSeconds") or self._election.lease_s)
        if not ours and holder and time.monotonic() - self._seen_at < lasts_s:
            return False
        turns = int(spec.get("leaseTransitions") or 0)
        taken = self._spec(turns if ours else turns + 1)
        if ours:
            taken["acquireTime"] = spec.get("acquireTime") or taken["acquireTime"]
        lease["spec"] = taken
        return self._wrote(lambda: self._kube.replace(LEASES, self._election.namespace, lease))

    def _spec(self, turns: int) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "holderIdentity": self._election.identity,
            "leaseDurationSeconds": max(1, round(self._election.lease_s)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": turns,
        }

    def _wrote(self, write: Any) -> bool:  # noqa: ANN401 -- a call
        try:
            write()
        except KubeError as error:
            if error.status != _CONFLICT:
                _logger.warning("lease_not_written", reason=error.reason, error=error.message)
            return False
        return True
