"""Messages that were made before, those used last, as many as fit into a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

S = TypeVar("S")
T = TypeVar("T")
_OVERHEAD_BYTES = 400
"""What Python takes for an entry beside the message."""


class Hit(Protocol):
    """What was found, as it was then."""

    @property
    def uid(self) -> str:
        """Whatever it is like."""

    @property
    def key(self) -> object:
        """Of two with equal keys everything is the same."""


class Made(NamedTuple, Generic[T]):
    """What is to be remembered of something as it is now."""

    key: object
    """As of a hit that finds it so."""
    value: T
    size_bytes: int


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


class Recall(Generic[S, T]):
    """What one answer takes from a memory: kept until it is made, whatever is forgotten meanwhile."""

    def __init__(self, memory: Memory[T], make: Callable[[S], Made[T]]) -> None:
        """`make` makes what the memory has not."""
        self._memory = memory
        self._make = make
        self._found: dict[object, T] = {}

    def has(self, hit: Hit) -> bool:
        """Whether the hit can be told without being read."""
        key = hit.key
        told = self._memory.get(key)
        if told is not None:
            self._found[key] = told
        return told is not None

    def tell(self, hit: Hit, read: Mapping[str, S]) -> T | None:
        """What was found; None when it is gone. `read` by uid are those that `has` denied."""
        found = self._found.get(hit.key)
        now = read.get(hit.uid) if found is None else None
        if now is None:
            return found
        # It may have changed since it was found: it is kept as what it is.
        made = self._make(now)
        self._memory.put(*made)
        return made.value
