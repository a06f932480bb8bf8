"""Looking for bytes that rotted: every blob is hashed again from time to time, those checked longest ago first.

A blob that is bad is marked, never deleted. It is not given to new files any more; reads of it go on verifying, so that
what is still good of it can be read; the next upload of the same bytes takes its files over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from registry_grpc.domain.artifacts import BlobState
from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action, Change
from registry_grpc.domain.tenancy import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from registry_grpc.domain.artifacts import Blob
    from registry_grpc.ports.store import Reader, Store, Unit

Result = Literal["good", "damaged", "healed"]
MAX_EVENTS = 1000
"""Files named in the event log when their bytes are found bad; a blob in more versions is told by its first ones."""
_CHECKED = frozenset({BlobState.LIVE, BlobState.DAMAGED})


class ScrubObserver(Protocol):
    """Told what the scrubber read and found. From any thread."""

    def scrubbed(self, size_bytes: int) -> None:
        """So many bytes were hashed."""

    def checked(self, blob: Blob, result: Result) -> None:
        """The whole of a blob was hashed. `healed`: it was damaged at the last check and is good again."""


@dataclass(slots=True)
class ScrubBlobs:
    """Hashes one block at each call, so that whoever calls it decides how fast it goes.

    Concurrency: one call at a time. Where it stands in a blob is kept in memory only; another process begins with
    that blob again.
    """

    store: Store
    read_block: Callable[[Blob, int], int]
    """Reads and verifies the block at that byte; returns its size. Raises: ARTIFACT_CORRUPT, STORAGE_UNAVAILABLE."""
    observer: ScrubObserver
    pass_time: timedelta
    """A blob is due so long after its last check."""
    _blob: Blob | None = field(default=None, init=False)
    _offset: int = field(default=0, init=False)

    def __call__(self) -> int | None:
        """Bytes that were hashed; None when no blob is due.

        Raises: STORAGE_UNAVAILABLE, DATABASE_UNAVAILABLE.
        """
        if self._blob is None:
            self._blob, self._offset = self.store.read(self._due), 0
        blob = self._blob
        if blob is None:
            return None
        try:
            size_bytes = self._verify(blob)
        except RegistryError as error:
            if error.reason is Reason.ARTIFACT_CORRUPT:
                self._conclude(blob, error.message)
                return 0
            raise
        self.observer.scrubbed(size_bytes)
        self._offset += size_bytes
        if self._offset >= blob.digest.size_bytes:
            self._conclude(blob, "")
        return size_bytes

    def _due(self, reader: Reader) -> Blob | None:
        return reader.blobs.due(reader.now - self.pass_time)

    def _verify(self, blob: Blob) -> int:
        try:
            return self.read_block(blob, self._offset)
        except RegistryError as error:
            if error.reason is not Reason.ARTIFACT_CORRUPT:
                raise
            # Once more: a cable or a memory may have flipped it, and then nothing is wrong with what is stored.
            return self.read_block(blob, self._offset)

    def _conclude(self, blob: Blob, damage: str) -> None:
        self._blob = None
        call: Call[Result | None] = Call(principal=SYSTEM, method="system.ScrubBlobs")
        result = self.store.write(lambda unit: _note(unit, blob.uid, damage), call).get()
        if result is not None:
            self.observer.checked(replace(blob, damage=damage), result)


def _note(unit: Unit, blob_uid: str, damage: str) -> Result | None:
    blob = unit.blobs.lock(blob_uid)
    if blob is None or blob.state not in _CHECKED:
        return None  # collected meanwhile, or healed by an upload
    if damage:
        state = BlobState.DAMAGED
    else:
        # Good again, from a backup. Where an upload brought the same bytes meanwhile, that one is used.
        is_replaced = blob.state is BlobState.DAMAGED and unit.blobs.claim(blob.project, blob.digest) is not None
        state = BlobState.DELETING if is_replaced else BlobState.LIVE
    if state is blob.state:
        unit.blobs.checked(replace(blob, check_time=unit.now))
        return "damaged" if damage else "good"
    files = unit.artifacts.of_blob(blob.uid, MAX_EVENTS)
    if state is BlobState.DELETING:
        unit.usage.change(blob.project, Usage(stored_bytes=-blob.digest.size_bytes))
    unit.advance(f"projects/{blob.project}/artifacts/{blob.digest.sha256}")
    at = unit.now if damage else None
    over = unit.now if state is BlobState.DELETING else None
    unit.blobs.checked(
        replace(blob, state=state, check_time=unit.now, damage=damage, damage_time=at, condemned_at=over)
    )
    unit.record_all(Change(Action.DAMAGED if damage else Action.HEALED, file) for file in files)
    return "damaged" if damage else "healed"
