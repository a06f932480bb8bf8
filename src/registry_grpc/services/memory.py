"""Messages that were made before, those used last, as many as fit into a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
_OVERHEAD_BYTES = 400
"""What Python takes for an entry beside the message."""


class Memory(Generic[T]):
    """By keys that say everything about what is kept, so that nothing in it can be stale.

    Safe to use by several threads.
    """

    def __init__(self, max_bytes: int) -> None:
        """Forgets what was not used for longest when it holds more than `max_bytes`."""
        self._max_bytes = max_bytes
        self._held: OrderedDict[object, tuple[T, int]] = OrderedDict()
        self._size_bytes = 0
        self._lock = Lock()

    def get(self, key: object) -> T | None:
        """What was put last."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._held.move_to_end(key)
            return held[0]

    def put(self, key: object, value: T, size_bytes: int) -> None:
        """Keep a value that takes so many bytes."""
        size = size_bytes + _OVERHEAD_BYTES
        with self._lock:
            _, before = self._held.pop(key, (None, 0))
            self._held[key] = value, size
            self._size_bytes += size - before
            while self._size_bytes > self._max_bytes:
                _, (_, oldest) = self._held.popitem(last=False)
                self._size_bytes -= oldest
