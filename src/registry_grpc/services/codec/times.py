"""Times and durations. Of a nanosecond only the microsecond is kept, cut off and not rounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.domain.errors import invalid_field

if TYPE_CHECKING:
    from google.protobuf.message import Message

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_SECONDS = -62_135_596_800
"""0001-01-01T00:00:00Z."""
MAX_SECONDS = 253_402_300_799
"""9999-12-31T23:59:59Z."""
MAX_DURATION_SECONDS = 315_576_000_000
"""10,000 years. Source: google/protobuf/duration.proto."""
_MAX_NANOS = 999_999_999


def time_to_wire(value: datetime) -> Timestamp:
    """Raises: TypeError for a time without a zone."""
    since = value - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def optional_time_to_wire(value: datetime | None) -> Timestamp | None:
    """None stays unset."""
    return None if value is None else time_to_wire(value)


def time_fault(seconds: int, nanos: int) -> str:
    """What is wrong with a timestamp; empty when nothing is."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        return "must lie in the years 1 to 9999"
    if not 0 <= nanos <= _MAX_NANOS:
        return "nanos must be 0 to 999,999,999"
    return ""


def time_from_wire(value: Timestamp, path: str) -> datetime:
    """Raises: INVALID_FIELD outside the years 1 to 9999, or with nanos out of range."""
    fault = time_fault(value.seconds, value.nanos)
    if fault:
        raise invalid_field(path, fault)
    return EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)


def optional_time_from_wire(message: Message, field: str, path: str = "") -> datetime | None:
    """The time in `field` of `message`, None when it is unset. `path` is that of the message.

    Raises: INVALID_FIELD.
    """
    if not message.HasField(field):
        return None
    return time_from_wire(getattr(message, field), f"{path}.{field}".lstrip("."))


def required_time_from_wire(message: Message, field: str, path: str = "") -> datetime:
    """As `optional_time_from_wire`, but unset is INVALID_FIELD."""
    value = optional_time_from_wire(message, field, path)
    if value is None:
        raise invalid_field(f"{path}.{field}".lstrip("."), "is required")
    return value


def duration_fault(seconds: int, nanos: int) -> str:
    """What is wrong with a duration; empty when nothing is."""
    if abs(seconds) > MAX_DURATION_SECONDS:
        return "must be at most 10,000 years"
    if abs(nanos) > _MAX_NANOS:
        return "nanos must be -999,999,999 to 999,999,999"
    if seconds and nanos and (seconds > 0) != (nanos > 0):
        return "seconds and nanos must have the same sign"
    return ""


def duration_to_wire(value: timedelta) -> Duration:
    """Seconds and nanos of the same sign."""
    micros = value // timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1_000)


def duration_from_wire(value: Duration, path: str) -> timedelta:
    """Raises: INVALID_FIELD when it is out of range or contradicts itself."""
    fault = duration_fault(value.seconds, value.nanos)
    if fault:
        raise invalid_field(path, fault)
    sign = -1 if value.nanos < 0 else 1
    return timedelta(seconds=value.seconds, microseconds=sign * (abs(value.nanos) // 1_000))
