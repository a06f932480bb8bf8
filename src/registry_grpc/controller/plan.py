"""What is to be done, from what is wanted, remembered and found: pure functions, no network, no clock.

A reconciliation chooses a version (`choose`), has it verified when it is a new one, brings it in, and settles what came
of that (`settle`): memory, conditions and the report. A rollback is no step of its own: the version that failed is
remembered, what is in force is the last good one again, and the next reconciliation brings that in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from registry_grpc.controller.memory import Condition, Failed, Memory, merged, timestamp
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.rollouts import Progress, Rollout
from registry_grpc.controller.spec import Mode, Spec
from registry_grpc.controller.windows import opens_at

FINISHED = Rollout(Progress.DONE)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something was not done: a reason for programs, a message for people."""

    reason: str
    message: str
    passing: bool = False
    """Trying again soon may help: somebody did not answer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The version to bring in or to keep."""

    pin: Pin | None
    """None: nothing was ever brought in, and nothing is to be."""
    is_new: bool = False
    """It has to be verified first."""
    held: Fault | None = None
    """Why it is not the one that the registry names."""
    until: datetime | None = None
    """When that is over, where it is known."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the registry is told."""

    pin: Pin
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Settled:
    """How things stand after a reconciliation."""

    memory: Memory
    report: Report | None = None
    again: bool = False
    """At once: a rollback is due."""


def choose(spec: Spec, generation: int, memory: Memory, found: Pin | Fault, now: datetime) -> Choice:
    """The version to bring in."""
    if isinstance(found, Fault):
        return Choice(memory.applied, held=found)
    fault, until = _hindrance(spec, generation, memory, found, now)
    if fault is not None:
        return Choice(memory.applied, held=fault, until=until)
    return Choice(found, is_new=found != memory.applied)


def _hindrance(
    spec: Spec, generation: int, memory: Memory, found: Pin, now: datetime
) -> tuple[Fault | None, datetime | None]:
    """Why a version cannot come in now, and until when."""
    changed = next((each for each in memory.known() if each.place == found.place and each.digest != found.digest), None)
    if changed is not None:
        return Fault(
            "DigestMismatch",
            f"{found.place} had the digest {changed.digest} and the registry now says {found.digest}; a version never "
            "changes: find out who changed it, or make this ModelDeployment anew",
        ), None
    if found == memory.applied:
        return None, None
    if spec.suspend:
        return Fault("Suspended", f"spec.suspend is on; version {found.version} waits"), None
    failed = memory.failed
    if failed is not None and failed.pin == found and failed.generation == generation:
        text = f"version {found.version} failed to roll out: {failed.message}; promote another one, or change the spec"
        return Fault("RolloutFailed", text), None
    opens = opens_at(spec.window, now) if spec.window else None
    if opens is not None:
        return Fault("WaitingForWindow", f"version {found.version} waits for the window at {timestamp(opens)}"), opens
    return None, None


def settle(  # noqa: PLR0913 -- everything that was found out, in the order it was
    spec: Spec,
    generation: int,
    memory: Memory,
    *,
    found: Pin | Fault,
    choice: Choice,
    fault: Fault | None,
    rollout: Rollout,
    now: datetime,
) -> Settled:
    """How things stand once the choice was brought in, or, with a `fault`, was not.

    `rollout` is that of the target; of no meaning with a fault.
    """
    told = replace(memory, resolved=found) if isinstance(found, Pin) else memory
    if fault is None and choice.pin is not None:
        told = _remember(told, choice.pin, now)
        rollout = _in_time(spec, told, rollout, now)
        if rollout.progress is Progress.FAILED:
            return _failed(spec, generation, told, found, choice, rollout, now)
        if rollout.progress is Progress.DONE and told.good != choice.pin:
            told = replace(told.outcome_of(choice.pin, "Complete"), good=choice.pin)
        told = _forgiven(told, found)
    conditions = _conditions(spec, told, found, choice, fault, rollout)
    told = replace(told, conditions=merged(memory.conditions, conditions, generation, now))
    return Settled(told, _report(spec, told, fault, rollout))


def _remember(memory: Memory, pin: Pin, now: datetime) -> Memory:
    return memory if memory.applied == pin else memory.brought_in(pin, now, "RollingOut")


def _forgiven(memory: Memory, found: Pin | Fault) -> Memory:
    """A failure is over once the registry names another version, or the one that failed was brought in after all."""
    failed = memory.failed
    if failed is None or (failed.pin != memory.good and (isinstance(found, Fault) or found == failed.pin)):
        return memory
    return replace(memory, failed=None)


def _in_time(spec: Spec, memory: Memory, rollout: Rollout, now: datetime) -> Rollout:
    """FAILED when the deadline of the spec is over before it is done; once it was done nothing is late."""
    if rollout.progress is not Progress.RUNNING or spec.progress_deadline_s is None or memory.good == memory.applied:
        return rollout
    lasts_s = (now - datetime.fromisoformat(memory.applied_time)).total_seconds()
    if lasts_s <= spec.progress_deadline_s:
        return rollout
    return Rollout(Progress.FAILED, f"not complete after {spec.progress_deadline_s:.0f} s: {rollout.message}")


def _failed(
    spec: Spec,
    generation: int,
    memory: Memory,
    found: Pin | Fault,
    choice: Choice,
    rollout: Rollout,
    now: datetime,
) -> Settled:
    """The rollout failed: back to the last good version, where there is one and it is wished."""
    pin = memory.applied
    assert pin is not None  # noqa: S101 -- for the type checker
    told = memory.outcome_of(pin, "Failed")
    back = spec.rollback and not spec.suspend and told.good is not None and told.good != pin
    if pin != told.good:
        told = replace(told, failed=Failed(pin, generation, rollout.message))
    fault = Fault("RolloutFailed", f"version {pin.version} failed to roll out: {rollout.message}")
    if back:
        assert told.good is not None  # noqa: S101 -- for the type checker
        told = told.brought_in(told.good, now, "RolledBack")
    conditions = _conditions(spec, told, found, replace(choice, held=fault), None, rollout)
    told = replace(told, conditions=merged(memory.conditions, conditions, generation, now))
    return Settled(told, Report(pin, "failed", rollout.message), again=back)


def _report(spec: Spec, memory: Memory, fault: Fault | None, rollout: Rollout) -> Report | None:
    """What runs, where that is known."""
    if spec.mode is not Mode.APPLY or memory.applied is None:
        return None
    if fault is not None:
        return None
    state = {Progress.DONE: "serving", Progress.RUNNING: "rolling_out", Progress.FAILED: "failed"}[rollout.progress]
    if memory.failed is not None and memory.failed.pin != memory.applied:
        return Report(memory.applied, state, f"rolled back from version {memory.failed.pin.version}")
    return Report(memory.applied, state, rollout.message)


def _conditions(
    spec: Spec, memory: Memory, found: Pin | Fault, choice: Choice, fault: Fault | None, rollout: Rollout
) -> list[Condition]:
    """All six, in the order in which things happen, then Ready."""
    away = isinstance(found, Fault) and found.reason == "RegistryUnavailable"
    reachable = Condition(
        "RegistryReachable", "False" if away else "True", "RegistryUnavailable" if away else "Answers"
    )
    steps = [
        replace(reachable, message=found.message) if isinstance(found, Fault) and away else reachable,
        _resolved(found, away=away),
        _verified(memory, found, choice),
        _applied(spec, memory, choice, fault),
        _progressing(memory, fault, rollout),
    ]
    return [_ready(steps), *steps]


def _resolved(found: Pin | Fault, *, away: bool) -> Condition:
    if isinstance(found, Fault):
        return Condition("Resolved", "Unknown" if away else "False", found.reason, found.message)
    return Condition("Resolved", "True", "Resolved", f"version {found.version}")


_UNVERIFIED = {"DigestMismatch", "SignatureMissing", "SignatureInvalid", "Yanked"}


def _verified(memory: Memory, found: Pin | Fault, choice: Choice) -> Condition:
    held = choice.held
    if held is not None and held.reason in _UNVERIFIED:
        return Condition("Verified", "False", held.reason, held.message)
    if isinstance(found, Pin) and found == memory.applied:
        return Condition("Verified", "True", "Verified", f"version {found.version} is {found.digest}")
    return Condition("Verified", "Unknown", "NotVerified", "it is verified before it is brought in")


def _applied(spec: Spec, memory: Memory, choice: Choice, fault: Fault | None) -> Condition:
    if fault is not None:
        return Condition("Applied", "False", fault.reason, fault.message)
    if choice.held is not None and choice.held.reason != "RegistryUnavailable":
        return Condition("Applied", "False", choice.held.reason, choice.held.message)
    if memory.applied is None:
        return Condition("Applied", "False", "NothingYet", "no version was ever brought in")
    said = f"version {memory.applied.version}"
    if spec.suspend:
        return Condition("Applied", "True", "Suspended", f"{said}; spec.suspend is on, nothing is written")
    return Condition("Applied", "True", "Applied", said)


def _progressing(memory: Memory, fault: Fault | None, rollout: Rollout) -> Condition:
    if memory.applied is None:
        return Condition("Progressing", "False", "NothingYet")
    if fault is not None:
        return Condition("Progressing", "Unknown", fault.reason)
    if rollout.progress is Progress.RUNNING:
        return Condition("Progressing", "True", "RollingOut", rollout.message)
    reason = "Complete" if rollout.progress is Progress.DONE else "Failed"
    return Condition("Progressing", "False", reason, rollout.message)


def _ready(steps: list[Condition]) -> Condition:
    """True when what the registry names is in force and runs; else as the first step that stands in the way."""
    for step in steps:
        if step.type == "Progressing":
            if step.reason != "Complete":
                return Condition("Ready", "False", step.reason, step.message)
        elif step.status != "True" and step.reason != "NotVerified":
            status = "Unknown" if step.reason == "RegistryUnavailable" else "False"
            return Condition("Ready", status, step.reason, step.message)
    return Condition("Ready", "True", "Serving", steps[3].message)
