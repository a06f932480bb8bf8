"""Kubernetes events: what `kubectl describe` shows of a ModelDeployment."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from registry_grpc.controller.kube import Kube, KubeError, Object, Resource

_EVENTS = Resource("events.k8s.io/v1", "Event", "events")
_MOST_NOTE_CHARS = 1000
_CALM = {"NothingYet", "WaitingForWindow", "Suspended", "NotVerified", "Resolved", "Answers"}
"""Reasons that are no news, or none to worry about."""
_logger: Any = structlog.get_logger("registry_grpc.controller")


def news(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """What is worth an event, as type, reason, action and note: a condition with another reason or version."""
    known = {each["type"]: (each["reason"], each["status"]) for each in before}
    told: dict[str, tuple[str, str, str, str]] = {}
    for each in after:
        kind, reason, status = each["type"], each["reason"], each["status"]
        same = known.get(kind) == (reason, status)
        applied = kind == "Applied" and status == "True" and _message(before, kind) != each["message"]
        if (
            kind == "Ready"
            or reason == "NothingYet"
            or (same and not applied)
            or (reason in _CALM and status != "False")
        ):
            continue
        bad = status == "False" and reason not in _CALM | {"Complete"}
        told.setdefault(reason, ("Warning" if bad else "Normal", reason, kind, each["message"] or reason))
    return list(told.values())


def _message(conditions: Sequence[Mapping[str, Any]], kind: str) -> str:
    return next((each["message"] for each in conditions if each["type"] == kind), "")


class Recorder:
    """Writes events. One that cannot be written is logged and forgotten."""

    def __init__(self, kube: Kube, instance: str) -> None:
        self._kube = kube
        self._instance = instance

    def tell(self, about: Object, kind: str, reason: str, action: str, note: str) -> None:
        """One event; `kind` is Normal or Warning."""
        metadata = about["metadata"]
        body: Object = {
            "apiVersion": _EVENTS.api_version,
            "kind": _EVENTS.kind,
            "metadata": {
                "name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}",
                "namespace": metadata["namespace"],
            },
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "action": action,
            "note": note[:_MOST_NOTE_CHARS],
            "regarding": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "reportingController": "registrygrpc.dev/mreg-controller",
            "reportingInstance": self._instance[:128],
        }
        try:
            self._kube.create(_EVENTS, metadata["namespace"], body)
        except KubeError as error:
            _logger.warning("event_not_written", reason=reason, error=error.message)
