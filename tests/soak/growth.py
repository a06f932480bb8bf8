"""Whether a process grows, by samples of it under load."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SLOPE_MIB = 1.0
"""Growth of memory in ten minutes after the warm-up: of what is resident, and of what C has in use."""
MAX_SLOPE_OBJECTS = 10_000
"""Likewise of Python's small objects: some 80 bytes each, so as much again."""
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
    quarter = len(samples) // 4
    settled = samples[quarter:]
    for what, name, limit, unit in (
        ("memory", "rss_mib", MAX_SLOPE_MIB, " MiB"),
        ("memory in use", "used_mib", MAX_SLOPE_MIB, " MiB"),
        ("Python's objects", "objects", MAX_SLOPE_OBJECTS, ""),
    ):
        grown = slope(settled, name)
        if grown > limit:
            found.append(f"{what} grew by {grown:.2f}{unit} in ten minutes; {limit:g} is the limit")
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
