"""Which ModelDeployments are due: each once, however often it is named, and never by two workers at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A ModelDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WorkQueue:
    """Keys and when they are due, by the monotonic clock. For any number of threads."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def add(self, key: Key, after_s: float = 0.0) -> None:
        """Due after that; sooner when it is due sooner already."""
        due = time.monotonic() + after_s
        with self._changed:
            self._due[key] = min(due, self._due.get(key, due))
            self._changed.notify()

    def failed(self, key: Key) -> None:
        """Due again after a pause that doubles with every failure."""
        with self._changed:
            count = self._failures[key] = self._failures.get(key, 0) + 1
        self.add(key, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (count - 1)))

    def succeeded(self, key: Key) -> None:
        """The next failure is the first one again."""
        with self._changed:
            self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """Not due any more."""
        with self._changed:
            self._due.pop(key, None)
            self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key that is due, waited for; nobody else gets it before `done`. None when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                ready = [(due, key) for key, due in self._due.items() if key not in self._busy]
                first = min(ready, default=None)
                if first is not None and first[0] <= now:
                    del self._due[first[1]]
                    self._busy.add(first[1])
                    return first[1]
                self._changed.wait(first[0] - now if first is not None else None)
            return None

    def done(self, key: Key) -> None:
        """Whoever took it is done; it may be taken again."""
        with self._changed:
            self._busy.discard(key)
            self._changed.notify_all()

    def close(self) -> None:
        """Let go whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            now = time.monotonic()
            return sum(due <= now for due in self._due.values())
