"""Signing the head of the audit trail, and storing the hashes its tree is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.audit import StoredCheckpoint
from registry_grpc.domain.merkle import TILE, TILE_LEVELS, Tree, fold
from registry_grpc.domain.notes import NoteError
from registry_grpc.failpoints import failpoint
from registry_grpc.usecases.audit import GetCheckpoint, broken, proving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.notes import Signer, Verifier
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Reader, Store, Unit

EVERY = timedelta(seconds=60)
EVERY_ENTRIES = 1000
TILES_AT_ONCE = 16
"""Hashes that one transaction stores."""
PREFIX = "audit/checkpoints/"


class CheckpointObserver(Protocol):
    """Told of what the checkpointer does. From any thread."""

    def signed(self, checkpoint: StoredCheckpoint) -> None:
        """A head was signed and kept."""

    def refused(self, why: str) -> None:
        """The trail is not what was signed before: nothing is signed until somebody looked."""


@dataclass(frozen=True, slots=True)
class GrowTree:
    """Stores the hashes of subtrees that became whole. Two that do it at once do no harm."""

    store: Store

    def __call__(self) -> None:
        """Raises: DATABASE_UNAVAILABLE."""
        while self.store.write(self._step).get():
            pass

    def _step(self, unit: Unit) -> bool:
        """Whether there is more to do."""
        size, level = unit.trail.size(), TILE_LEVELS
        while size >> level:
            stored = unit.trail.stored_nodes(level)
            count = min((size >> level) - stored, TILES_AT_ONCE)
            if count > 0:
                below = [unit.trail.hashes(level - TILE_LEVELS, (stored + at) * TILE, TILE) for at in range(count)]
                if any(len(each) != TILE for each in below):
                    raise broken("entries are missing")
                unit.trail.add_nodes(level, stored, [fold(each) for each in below])
                return True
            level += TILE_LEVELS
        return False


@dataclass(frozen=True, slots=True)
class SignCheckpoint:
    """Signs the head of the trail, when what was signed before is still the beginning of it.

    Every signed note also goes into the artifact store, where rights over the database do not reach. Concurrency: any.
    """

    store: Store
    artifacts: ArtifactStore
    signer: Signer
    former: Sequence[Verifier]
    """Keys that older checkpoints may be signed with."""
    observer: CheckpointObserver

    def __call__(self) -> StoredCheckpoint | None:
        """The checkpoint that was due, if one was.

        Raises: INTERNAL when the trail is not what was signed; DATABASE_UNAVAILABLE, STORAGE_UNAVAILABLE.
        """
        return self._sign(at_once=False)

    def fresh(self) -> StoredCheckpoint:
        """A checkpoint over everything there is, signed now or before.

        Raises: as the call.
        """
        found = self._sign(at_once=True)
        return found if found is not None else GetCheckpoint(self.store)()

    def _sign(self, *, at_once: bool) -> StoredCheckpoint | None:
        last = self._last()
        self._require_untouched(last)
        size, now = self.store.read(lambda reader: (reader.trail.size(), reader.now))
        new = size - (last.size if last else 0)
        # Also after a clock was put back: nobody waits until it has caught up.
        due = at_once or new >= EVERY_ENTRIES or last is None or abs(now - last.time) >= EVERY
        if new <= 0 or not due:
            return None
        if last is not None:
            self._keep(last)
        GrowTree(self.store)()
        failpoint("audit.checkpoint.before")
        made = self.store.write(lambda unit: self._add(unit, size)).get()
        failpoint("audit.checkpoint.kept")
        self._keep(made)
        self.observer.signed(made)
        return made

    def _last(self) -> StoredCheckpoint | None:
        return self.store.read(lambda reader: reader.trail.checkpoint())

    def _add(self, unit: Unit, size: int) -> StoredCheckpoint:
        root = proving(Tree(size, unit.trail.hashes).root)
        made = StoredCheckpoint(size=size, root=root, note=self.signer.sign(size, root), time=unit.now)
        unit.trail.add_checkpoint(made)
        return made

    def _require_untouched(self, last: StoredCheckpoint | None) -> None:
        """Raises: INTERNAL."""
        why = self._complaint(last)
        if why:
            self.observer.refused(why)
            raise broken(why)

    def _complaint(self, last: StoredCheckpoint | None) -> str:
        if last is not None:
            said = self._said(last.note)
            if said != (last.size, last.root):
                return f"the checkpoint of size {last.size} in the database is none that this log signed"

            def head(reader: Reader) -> bytes:
                return Tree(last.size, reader.trail.hashes).root()

            try:
                if self.store.read(head, snapshot=True) != last.root:
                    return f"the first {last.size} entries are not those that were signed"
            except ValueError as error:
                return f"the first {last.size} entries are not all there: {error}"
        # A larger one in the artifact store: the database was rewound, by whomever.
        known = last.size if last else 0
        newer = self.artifacts.list_objects(note_key(known) if known else PREFIX, 1).found
        if newer and newer[0].key.startswith(PREFIX):
            again = self._last()
            if again is None or note_key(again.size) < newer[0].key:
                return f"the artifact store has {newer[0].key}, which the database does not know"
        return ""

    def _said(self, note: str) -> tuple[int, bytes] | None:
        for verifier in (self.signer.verifier, *self.former):
            try:
                head = verifier.open(note)
            except NoteError:
                continue
            return (head.size, head.root) if head.origin == verifier.name else None
        return None

    def _keep(self, made: StoredCheckpoint) -> None:
        key, note = note_key(made.size), made.note.encode()
        if self.artifacts.head(key) is None:
            self.artifacts.put(key, [note], len(note), {})


def note_key(size: int) -> str:
    """Where the note of a checkpoint lies in the artifact store; keys sort as sizes do."""
    return f"{PREFIX}{size:020d}"
