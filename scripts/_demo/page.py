"""What the reader of the demo sees, and how a step that did not hold ends it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
_MARGIN = "   "


class DemoError(Exception):
    """A step did not do what it should; the text says which and how."""


def heading(number: int, title: str) -> None:
    """Begin step `number`."""
    print(f"\n{number}. {title}", flush=True)


def say(text: str) -> None:
    """A sentence or two."""
    print(textwrap.fill(text, WIDTH, initial_indent=_MARGIN, subsequent_indent=_MARGIN, **_WHOLE), flush=True)


def show(rows: Iterable[Sequence[object]]) -> None:
    """Rows of equal length in aligned columns."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"{_MARGIN}  {text.rstrip()}", flush=True)


def require(holds: object, failure: str) -> None:
    """Go on when `holds`.

    Raises: DemoError with `failure`.
    """
    if not holds:
        raise DemoError(failure)


# References and paths are copied by readers: they are never cut.
_WHOLE = {"break_long_words": False, "break_on_hyphens": False}
