"""What the status of a ModelDeployment remembers from one reconciliation to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from registry_grpc.controller.pins import Pin

HISTORY = 10
"""Most entries of the history."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that was brought in, and what became of it."""

    pin: Pin
    time: str
    outcome: str
    """`RollingOut`, `Complete`, `Failed` or `RolledBack` for a return to it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A version whose rollout failed. It is not tried again while the spec stays what it was."""

    pin: Pin
    generation: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was found and done so far. Times are RFC 3339, UTC."""

    resolved: Pin | None = None
    """What the registry said last."""
    applied: Pin | None = None
    """What is in force: written into the target, or told to whoever deploys it."""
    applied_time: str = ""
    good: Pin | None = None
    """The last one whose rollout was completed."""
    failed: Failed | None = None
    history: tuple[Entry, ...] = ()
    """The newest first."""
    conditions: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> Self:
        """From the status of a ModelDeployment; empty from an empty one."""
        failed, applied = status.get("failed"), status.get("applied")
        pin = Pin.from_status(failed)
        return cls(
            resolved=Pin.from_status(status.get("resolved")),
            applied=Pin.from_status(applied),
            applied_time=(applied or {}).get("time", ""),
            good=Pin.from_status(status.get("lastGood")),
            failed=Failed(pin, failed["generation"], failed["message"]) if failed and pin else None,
            history=tuple(
                Entry(pin, each["time"], each["outcome"])
                for each in status.get("history") or ()
                if (pin := Pin.from_status(each)) is not None
            ),
            conditions=tuple(status.get("conditions") or ()),
        )

    def as_status(self, generation: int) -> dict[str, Any]:
        """The status to merge; what is not there is null, so that it goes."""
        return {
            "observedGeneration": generation,
            "resolved": _status_of(self.resolved),
            "applied": _status_of(self.applied, time=self.applied_time),
            "lastGood": _status_of(self.good),
            "failed": _status_of(
                self.failed.pin if self.failed else None,
                **({"generation": self.failed.generation, "message": self.failed.message} if self.failed else {}),
            ),
            "history": [{**each.pin.as_status(), "time": each.time, "outcome": each.outcome} for each in self.history],
            "conditions": [dict(each) for each in self.conditions],
        }

    def known(self) -> list[Pin]:
        """Every version with its digest that is remembered."""
        single = (self.applied, self.good, self.failed.pin if self.failed else None)
        return [*(each for each in single if each is not None), *(each.pin for each in self.history)]

    def condition(self, kind: str) -> Mapping[str, Any]:
        """One condition; empty when it was never set."""
        return next((each for each in self.conditions if each["type"] == kind), {})

    def brought_in(self, pin: Pin, now: datetime, outcome: str) -> Self:
        """With this version in force."""
        entry = Entry(pin, timestamp(now), outcome)
        return replace(self, applied=pin, applied_time=timestamp(now), history=(entry, *self.history)[:HISTORY])

    def outcome_of(self, pin: Pin, outcome: str) -> Self:
        """With another outcome of the newest entry of this version."""
        history = list(self.history)
        for at, each in enumerate(history):
            if each.pin == pin:
                history[at] = replace(each, outcome=outcome)
                break
        return replace(self, history=tuple(history))


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as it is to be."""

    type: str
    status: str
    """`True`, `False` or `Unknown`."""
    reason: str
    message: str = ""


def merged(
    before: Sequence[Mapping[str, Any]], wanted: Sequence[Condition], generation: int, now: datetime
) -> tuple[Mapping[str, Any], ...]:
    """The conditions with their times: a time changes with the status only."""
    known = {each["type"]: each for each in before}
    made = []
    for each in wanted:
        old = known.get(each.type, {})
        same = old.get("status") == each.status
        made.append(
            {
                "type": each.type,
                "status": each.status,
                "reason": each.reason,
                "message": each.message,
                "lastTransitionTime": old["lastTransitionTime"] if same else timestamp(now),
                "observedGeneration": generation,
            }
        )
    return tuple(made)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _status_of(pin: Pin | None, **more: object) -> dict[str, Any] | None:
    return {**pin.as_status(), **more} if pin else None
