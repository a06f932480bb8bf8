"""Whether what came is what was expected: a mapping may hold more, everything else must be the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PATTERN = re.compile(r"<re:(.*)>", re.DOTALL)
ANY = "<any>"


def differences(expected: Any, came: Any, at: str = "") -> Iterator[str]:
    """What is not as expected, in words. None stands for what must not be there, `<any>` for anything but nothing."""
    if isinstance(expected, dict):
        yield from _in_mapping(expected, came, at)
    elif isinstance(expected, list):
        if not isinstance(came, list) or len(came) != len(expected):
            yield f"{at}: wanted {len(expected)} items, came {shown(came)}"
            return
        for number, (inner, each) in enumerate(zip(expected, came, strict=True)):
            yield from differences(inner, each, f"{at}.{number}")
    elif not _fits(expected, came):
        yield f"{at}: wanted {shown(expected)}, came {shown(came)}"


def _in_mapping(expected: dict[str, Any], came: Any, at: str) -> Iterator[str]:
    if not isinstance(came, dict):
        yield f"{at or 'the reply'}: wanted a mapping, came {shown(came)}"
        return
    for key, inner in expected.items():
        where = f"{at}.{key}" if at else key
        if inner is None:
            if key in came:
                yield f"{where}: wanted nothing, came {shown(came[key])}"
        elif key not in came:
            yield f"{where}: wanted {shown(inner)}, nothing came"
        else:
            yield from differences(inner, came[key], where)


def _fits(expected: Any, came: Any) -> bool:
    if expected == ANY:
        return came not in ("", None, [], {})
    if isinstance(expected, str) and (pattern := _PATTERN.fullmatch(expected)):
        return isinstance(came, str) and re.fullmatch(pattern[1], came, re.DOTALL) is not None
    return bool(expected == came) and isinstance(expected, bool) == isinstance(came, bool)


def shown(value: Any) -> str:
    """A value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"


def file_differences(expected: dict[str, str], directory: Path) -> Iterator[str]:
    """What in a directory is not as expected: a text, or `sha256:` of the bytes."""
    found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    if found.keys() != expected.keys():
        yield f"files: wanted {sorted(expected)}, came {sorted(found)}"
        return
    for path, wanted in expected.items():
        content = found[path].read_bytes()
        is_same = (
            wanted == f"sha256:{hashlib.sha256(content).hexdigest()}"
            if wanted.startswith("sha256:")
            else wanted.encode() == content
        )
        if not is_same:
            yield f"files.{path}: wanted {wanted[:80]!r}, came {content[:80]!r}"
