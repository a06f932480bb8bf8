"""What is worth keeping of calls that are repeated word for word, and of no others."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
KEPT = 4096
"""Of each kind. When more come, all are forgotten: those that are repeated come again."""


class Repeats(Generic[K, V]):
    """A bounded number of values by key.

    Where keys may be new each time keep only what `is_worth` it: who asks for another revision each time fills no
    memory.

    Concurrency: event loop only.
    """

    def __init__(self) -> None:
        self._values: dict[K, V] = {}
        self.get = self._values.get
        """The value of a key, or None; on the hot path, so nothing stands between."""
        self._seen: set[int] = set()

    def is_worth(self, key: K) -> bool:
        """Whether to keep something for `key`: it has come before, lately. From now on it has."""
        mark = hash(key)
        if key in self._values or mark in self._seen:
            return True
        if len(self._seen) >= KEPT:
            self._seen.clear()
        self._seen.add(mark)
        return False

    def keep(self, key: K, value: V | None) -> None:
        """Remember `value`; forget what was there when it is None."""
        if value is None:
            self._values.pop(key, None)
            return
        if len(self._values) >= KEPT:
            self._values.clear()
        self._values[key] = value
