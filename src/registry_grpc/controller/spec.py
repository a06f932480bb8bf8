"""The spec of a ModelDeployment as a value, and what is wrong with it beyond what the API server checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry_grpc.controller.patches import Patch, PatchError, default_patches, parse_path
from registry_grpc.controller.windows import Window, window_fault

GROUP = "serving.registrygrpc.dev"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
DEFAULT_INTERVAL = "30s"


class SpecError(Exception):
    """The spec cannot be followed; the message says which field and why."""


class Mode(StrEnum):
    """What is done with the version found."""

    APPLY = "Apply"
    """It is written into the target."""
    RESOLVE = "Resolve"
    """It is told in the status, and in a ConfigMap when one is named."""


class Signature(StrEnum):
    """Whether a version must be signed."""

    REQUIRED = "Required"
    IF_PRESENT = "IfPresent"
    """Not necessarily; but one that is signed needs a signature that is valid."""
    OFF = "Off"


@dataclass(frozen=True, slots=True)
class Target:
    """The object that is written to, in the namespace of the ModelDeployment."""

    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is followed, where it goes, and under which conditions."""

    project: str
    model: str
    stage: str
    """Empty when a version is given."""
    version: int
    """0 when a stage is given."""
    digest: str
    """Only with a version: what its digest must be; empty when it is not said."""
    mode: Mode
    signature: Signature
    target: Target | None
    patches: tuple[Patch, ...]
    config_map: str
    window: Window | None
    rollback: bool
    progress_deadline_s: float | None
    suspend: bool
    interval_s: float
    force: bool

    @property
    def reference(self) -> str:
        """What the registry is asked for."""
        name = f"{self.project}:{self.model}"
        return f"{name}@{self.stage}" if self.stage else f"{name}/{self.version}"


def parse_spec(found: Mapping[str, Any]) -> Spec:
    """The spec of a ModelDeployment.

    Raises: SpecError.
    """
    rollout = found.get("rollout") or {}
    return Spec(
        project=found.get("project", "default"),
        model=found["model"],
        stage=found.get("stage", ""),
        version=int(found.get("version", 0)),
        digest=found.get("digest", ""),
        mode=Mode(found.get("mode", Mode.APPLY)),
        signature=Signature((found.get("verify") or {}).get("signature", Signature.IF_PRESENT)),
        target=_target(found.get("target")),
        patches=_patches(found),
        config_map=(found.get("configMap") or {}).get("name", ""),
        window=_window(rollout.get("window")),
        rollback=rollout.get("rollbackOnFailure", True),
        progress_deadline_s=seconds(rollout["progressDeadline"]) if "progressDeadline" in rollout else None,
        suspend=found.get("suspend", False),
        interval_s=seconds(found.get("interval", DEFAULT_INTERVAL)),
        force=found.get("force", False),
    )


def seconds(duration: str) -> float:
    """A duration such as `90s`, `10m` or `1h30m`.

    Raises: SpecError.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()):
        raise SpecError(f"duration {duration!r} is none; write hours, minutes and seconds, e.g. 1h30m or 45s")
    hours, minutes, rest = (int(each or 0) for each in match.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def _target(found: Mapping[str, Any] | None) -> Target | None:
    return Target(found["apiVersion"], found["kind"], found["name"]) if found else None


def _patches(found: Mapping[str, Any]) -> tuple[Patch, ...]:
    try:
        given = tuple(Patch(parse_path(each["fieldPath"]), each["value"]) for each in found.get("patches") or ())
    except PatchError as error:
        raise SpecError(str(error)) from None
    target = found.get("target")
    return given or (default_patches(target["kind"]) if target else ())


def _window(found: Mapping[str, Any] | None) -> Window | None:
    if not found:
        return None
    window = Window(found["cron"], seconds(found["duration"]), found.get("timeZone", "UTC"))
    fault = window_fault(window)
    if fault:
        raise SpecError(f"rollout.window: {fault}")
    return window
