"""Reading the chosen fields of a resource, for creations and masked updates alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

M = TypeVar("M")


def changes_of(
    readers: Mapping[str, Callable[[M, str], Any]],
    message: M,
    fields: Collection[str],
    path: str,
) -> dict[str, Any]:
    """Domain values by field name, for those of `fields` that have a reader. A reader gets the field's path."""
    return {name: read(message, f"{path}.{name}") for name, read in readers.items() if name in fields}
