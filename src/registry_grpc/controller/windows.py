"""Times at which a rollout may begin, by cron."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """It opens whenever the cron expression fires, by the clock of the time zone, and stays open for a duration."""

    cron: str
    duration_s: float
    time_zone: str = "UTC"


def window_fault(window: Window) -> str:
    """What is wrong with a window; empty when nothing is."""
    try:
        zone = ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{window.time_zone!r} is no time zone; give an IANA name such as Europe/Berlin"
    try:
        next(CronSim(window.cron, datetime.now(zone)))
    except (CronSimError, StopIteration) as error:
        return f"cron {window.cron!r} does not fire: {str(error) or 'never'}; five fields, e.g. '0 2 * * MON-FRI'"
    return ""


def opens_at(window: Window, now: datetime) -> datetime | None:
    """When it opens next, in UTC; None while it is open.

    It is open from the moment the cron fires, until just before the duration is over.
    """
    zone = ZoneInfo(window.time_zone)
    # The search leaves out the moment it begins at: what fires in this very minute counts.
    this_minute = now.astimezone(zone).replace(second=0, microsecond=0)
    last = next(CronSim(window.cron, this_minute + _MINUTE, reverse=True), None)
    if last is not None and (now - last.astimezone(UTC)).total_seconds() < window.duration_s:
        return None
    return next(CronSim(window.cron, this_minute)).astimezone(UTC)
