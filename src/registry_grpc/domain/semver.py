"""Version labels by Semantic Versioning 2.0.0: their precedence."""

from __future__ import annotations

import re

_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(label: str) -> Precedence | None:
    """What to compare labels by; None for one that is no SemVer. Build metadata does not count.

    Source: semver.org 2.0.0, section 11.
    """
    match = _SEMVER.fullmatch(label)
    if match is None:
        return None
    before = match[4].split(".") if match[4] else []
    identifiers = tuple((not each.isdigit(), int(each) if each.isdigit() else 0, each) for each in before)
    return int(match[1]), int(match[2]), int(match[3]), not before, identifiers
