"""Whether a process grows, by samples of it under load."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SLOPE_MIB = 1.0
"""Growth of what C has in use, in ten minutes after the warm-up."""
MAX_SLOPE_OBJECTS = 10_000
"""Likewise of Python's small objects: some 80 bytes each, so as much again."""
MAX_STEP_MIB = 64.0
"""What two heaps may keep at their ends, so that what is resident may be higher at one time than at another."""
RESTED = 20
"""Samples of five minutes, in which there is a moment without an upload."""
MAX_SPREAD = 16
"""How many more descriptors or threads the last quarter may show than the second."""


@dataclass(frozen=True)
class Sample:
    """The steady replica at one moment."""

    minutes: float
    rss_mib: float
    used_mib: float
    """What C has in use."""
    objects: int
    """Small objects of Python."""
    descriptors: int
    threads: int


def growth(samples: Sequence[Sample]) -> list[str]:
    """What of the steady replica grew; the first quarter is warm-up."""
    found = []
    settled = samples[len(samples) // 4 :]
    used, objects = slope(settled, "used_mib"), slope(settled, "objects")
    if used > MAX_SLOPE_MIB:
        found.append(f"memory in use grew by {used:.2f} MiB in ten minutes; {MAX_SLOPE_MIB:g} is the limit")
    if objects > MAX_SLOPE_OBJECTS:
        found.append(f"Python's objects grew by {objects:.0f} in ten minutes; {MAX_SLOPE_OBJECTS} is the limit")
    quarter = len(samples) // 4
    first, last = (min(each.rss_mib for each in part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    if last > first + MAX_STEP_MIB:
        found.append(
            f"the least resident memory rose from {first:.0f} to {last:.0f} MiB; {MAX_STEP_MIB:g} is the limit"
        )
    for name in ("descriptors", "threads"):
        early = statistics.median(getattr(each, name) for each in samples[quarter : 2 * quarter])
        late = statistics.median(getattr(each, name) for each in samples[-quarter:])
        if late > early + MAX_SPREAD:
            found.append(f"{name} grew from {early:g} to {late:g}")
    return found


def slope(samples: Sequence[Sample], name: str) -> float:
    """Growth in ten minutes, by least squares over the least of each few minutes: uploads come and go in between."""
    groups = (samples[at : at + RESTED] for at in range(0, len(samples), RESTED))
    rested = [min(group, key=lambda each: getattr(each, name)) for group in groups]
    fit = statistics.linear_regression([each.minutes for each in rested], [getattr(each, name) for each in rested])
    return 10 * fit.slope
