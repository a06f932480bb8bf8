"""Times at which nothing moves, in the time zone of those who set them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from registry_grpc.domain.policies import FreezeWindows, Window

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAYS = range(1, 8)


def zone_fault(name: str) -> str:
    """What is wrong with the name of a time zone; empty when nothing is."""
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{name!r} is no time zone this server knows; give an IANA name such as Europe/Berlin"
    return ""


def window_fault(window: Window) -> str:
    """What is wrong with a window; empty when nothing is."""
    once = window.start_time is not None or window.end_time is not None
    if window.days:
        if once:
            return "has days and dates; give one of them"
        if any(day not in _DAYS for day in window.days):
            return "days are 1 (Monday) to 7"
        if not (_CLOCK.fullmatch(window.start) and _CLOCK.fullmatch(window.end)):
            return "start and end must be HH:MM"
        return ""
    if window.start_time is None or window.end_time is None or window.start or window.end:
        return "needs days with start and end, or start_time and end_time"
    return "" if window.start_time < window.end_time else "ends before it starts"


def open_window(frozen: FreezeWindows, now: datetime) -> str:
    """The window that `now` lies in, for people; empty for none. Its end is not in it."""
    zone = ZoneInfo(frozen.time_zone or "UTC")
    for window in frozen.windows:
        for start, end in _spans(window, now, zone):
            if start <= now < end:
                return (
                    f"frozen from {start.astimezone(zone):%Y-%m-%d %H:%M} to {end.astimezone(zone):%Y-%m-%d %H:%M %Z}"
                )
    return ""


def _spans(window: Window, now: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """When the window begins and ends around `now`, in UTC: comparing times of one zone would not heed its changes."""
    if window.start_time is not None and window.end_time is not None:
        return [(window.start_time, window.end_time)]
    spans = []
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if day.isoweekday() in window.days:
            start = datetime.fromisoformat(f"{day}T{window.start}").replace(tzinfo=zone)
            until = day if window.end > window.start else day + timedelta(days=1)
            end = datetime.fromisoformat(f"{until}T{window.end}").replace(tzinfo=zone)
            spans.append((start.astimezone(UTC), end.astimezone(UTC)))
    return spans
