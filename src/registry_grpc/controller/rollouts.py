"""How far a workload is with what was written into it, by its own status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Progress(StrEnum):
    """How far it is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far it is, and what it says."""

    progress: Progress
    message: str = ""


def rollout_of(workload: Mapping[str, Any]) -> Rollout:
    """How far a workload is.

    A kind that tells nothing of its rollout counts as done: writing to it is all that can be seen.
    """
    metadata, status = workload.get("metadata") or {}, workload.get("status") or {}
    kind = (workload.get("apiVersion", "").partition("/")[0], workload.get("kind"))
    replicated = kind in {("apps", "Deployment"), ("apps", "StatefulSet")}
    observed = status.get("observedGeneration", 0 if replicated else None)
    if observed is not None and observed < metadata.get("generation", 0):
        return Rollout(Progress.RUNNING, "its own controller has not seen the change yet")
    if kind == ("apps", "Deployment"):
        return _deployment(workload, status)
    if kind == ("apps", "StatefulSet"):
        return _stateful_set(workload, status)
    return _by_conditions(status)


def _deployment(workload: Mapping[str, Any], status: Mapping[str, Any]) -> Rollout:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Rollout(Progress.FAILED, condition.get("message") or "the progress deadline is exceeded")
    return _by_counts(_wanted(workload), status, updated=status.get("updatedReplicas", 0))


def _stateful_set(workload: Mapping[str, Any], status: Mapping[str, Any]) -> Rollout:
    same = status.get("currentRevision") == status.get("updateRevision")
    # Once all are updated the set forgets to count them, and calls the new revision the current one.
    updated = status.get("replicas", 0) if same else status.get("updatedReplicas", 0)
    return _by_counts(_wanted(workload), status, updated=updated)


def _by_counts(wanted: int, status: Mapping[str, Any], *, updated: int) -> Rollout:
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    said = f"{updated} of {wanted} replicas updated, {available} available"
    if updated < wanted or total > updated or available < wanted:
        return Rollout(Progress.RUNNING, said)
    return Rollout(Progress.DONE, said)


def _by_conditions(status: Mapping[str, Any]) -> Rollout:
    ready = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), None)
    if ready is None or ready.get("status") == "True":
        return Rollout(Progress.DONE)
    return Rollout(Progress.RUNNING, ready.get("message") or ready.get("reason") or "not ready")


def _wanted(workload: Mapping[str, Any]) -> int:
    replicas = (workload.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)
