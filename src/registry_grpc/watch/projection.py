"""Where every stage, alias and `latest` of every live model points, in memory, with the reply made beforehand.

Lookups take no lock and run on the event loop. Changes come from the tailer and from this process's own commits, in any
order: each pointer and each model keeps the revision it was last changed at and ignores older news.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from registry_grpc.domain.events import Action
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.resources import Model, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry_grpc.domain.events import Event

R = TypeVar("R")
_GONE = frozenset({Action.DELETED, Action.PURGED})


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """A pointer and what was made of it."""

    revision: int
    """Revision of the news, which may be younger than the pointer's own."""
    pointer: Pointer
    reply: R | None
    """None when the pointer has no target."""


class _ModelPointers(Generic[R]):
    """The pointers of one model. `latest` lies among the aliases: no alias may have its name."""

    __slots__ = ("aliases", "floor", "stages")

    def __init__(self) -> None:
        self.stages: dict[str, Entry[R]] = {}
        self.aliases: dict[str, Entry[R]] = {}
        self.floor = 0
        """Revision the model was deleted at; older news of its pointers is void."""


class Projection(Generic[R]):
    """The pointers of every live model, by model resource name."""

    def __init__(self, make_reply: Callable[[Pointer], R]) -> None:
        """`make_reply` is called once per change of a pointer that has a target; it must not fail."""
        self._make_reply = make_reply
        self._models: dict[str, _ModelPointers[R]] = {}
        self._floors: dict[str, int] = {}
        """Revision each project was last deleted at; older news of what is in it is void."""
        self._lock = threading.Lock()

    def stage(self, model: str, stage: str) -> Entry[R] | None:
        """The stage's entry; None when nothing is known of it. Safe from any thread, without waiting."""
        pointers = self._models.get(model)
        return None if pointers is None else pointers.stages.get(stage)

    def alias(self, model: str, alias: str) -> Entry[R] | None:
        """The entry of an alias or of `latest`. Safe from any thread, without waiting."""
        pointers = self._models.get(model)
        return None if pointers is None else pointers.aliases.get(alias)

    def load(self, pointers: Iterable[Pointer], revision: int) -> None:
        """Take a snapshot read at `revision`."""
        with self._lock:
            for pointer in pointers:
                self._put(pointer, revision)

    def apply(self, events: Iterable[Event]) -> None:
        """Take news, in the order of their index where they share a revision. Repeating them changes nothing."""
        with self._lock:
            for event in events:
                after = event.after
                if isinstance(after, Pointer):
                    self._put(after, event.revision)
                elif event.action not in _GONE:
                    continue
                elif isinstance(after, Model):
                    self._drop(str(after.name), event.revision)
                elif isinstance(after, Project):
                    self._drop_project(after.name.project, event.revision)

    def _put(self, pointer: Pointer, revision: int) -> None:
        pointers = self._models.setdefault(str(pointer.model), _ModelPointers())
        entries = pointers.stages if pointer.kind is PointerKind.STAGE else pointers.aliases
        known = entries.get(pointer.id)
        floor = max(pointers.floor, self._floors.get(pointer.model.project, 0))
        if revision <= floor or (known is not None and known.revision > revision):
            return
        reply = None if pointer.target is None else self._make_reply(pointer)
        entries[pointer.id] = Entry(revision, pointer, reply)

    def _drop(self, model: str, revision: int) -> None:
        pointers = self._models.setdefault(model, _ModelPointers())
        if revision <= pointers.floor:
            return
        pointers.floor = revision
        for entries in (pointers.stages, pointers.aliases):
            for key in [key for key, entry in entries.items() if entry.revision <= revision]:
                del entries[key]

    def _drop_project(self, project: str, revision: int) -> None:
        self._floors[project] = max(self._floors.get(project, 0), revision)
        inside = f"projects/{project}/"
        for model in [name for name in self._models if name.startswith(inside)]:
            self._drop(model, revision)
