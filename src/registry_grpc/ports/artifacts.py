"""The artifact store: bytes under keys the server made, in one bucket or directory.

Rules every implementation must keep, each with a contract test:

- A key becomes readable only by `complete` or `put`, whole, and never changes afterwards.
- `complete` and `put` never overwrite: a second one of the same key with the same size is a success (the first answer
  may have been lost); with another size it is a RegistryError INTERNAL, since keys are never reused.
- `put_part` of a number replaces an earlier part of that number.
- Chunks are read in order and never copied together.
- Every method is blocking, safe from many threads, and raises STORAGE_UNAVAILABLE (RegistryError, with a retry hint)
  within its timeouts when the store does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from registry_grpc.domain.artifacts import Bytes, UploadPart


class MissingObjectError(Exception):
    """No object has this key (or no multipart upload this id)."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of an object."""

    size_bytes: int
    metadata: Mapping[str, str]
    """What `begin` or `put` was given; keys in lower case."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Something in the store, as a list shows it."""

    key: str
    size_bytes: int
    """0 for a multipart write."""
    age: timedelta
    """Since it was last written, by the store's own clock."""
    store_upload: str = ""
    """What `abort` takes; empty for an object."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of what is in the store."""

    found: Sequence[Stored]
    after: str
    """Where to go on; empty when nothing follows."""


class ArtifactStore(Protocol):
    """Bytes under keys. A key matches `[a-z0-9/]{1,128}` and is used once."""

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin a multipart write of `key`; returns the store's id for it, which must survive a restart."""

    def put_part(
        self,
        key: str,
        store_upload: str,
        number: int,
        offset: int,
        chunks: Sequence[Bytes],
        size_bytes: int,
    ) -> str:
        """Store part `number` (1 upwards), which begins at byte `offset`; returns its etag. Durable on return.

        Raises: MissingObjectError when the multipart write is gone.
        """

    def complete(self, key: str, store_upload: str, parts: Sequence[UploadPart]) -> None:
        """Make the object readable under `key`. Durable on return. Repeating it after a success is a success.

        Raises: MissingObjectError when neither the multipart write nor the object exists.
        """

    def abort(self, key: str, store_upload: str) -> None:
        """Drop a multipart write. Dropping one that is gone is a success."""

    def sweep(self, key: str) -> None:
        """Drop every multipart write of `key`, also one whose id was never saved, and what a `put` left unfinished.

        A writer of the key that is still at work fails. The object stays when there is one.
        """

    def put(
        self,
        key: str,
        chunks: Sequence[Bytes],
        size_bytes: int,
        metadata: Mapping[str, str],
    ) -> None:
        """Store a whole small object (also of 0 bytes). Durable on return."""

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object; None when there is none."""

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """The bytes `offset … offset + length`, in chunks of at most 1 MiB. The caller exhausts or closes it.

        Raises: MissingObjectError, at the first item, when there is no such object.
        """

    def delete(self, key: str) -> None:
        """Remove the object. Removing one that is gone is a success."""

    def list_objects(self, after: str, limit: int) -> Listing:
        """Objects in the order of their keys, a page of at most `limit` behind `after` (empty: from the beginning).

        Keys outside the grammar are left out: this program did not make them. One that is written or deleted meanwhile
        may be in it or not.
        """

    def list_unfinished(self, after: str, limit: int) -> Listing:
        """As `list_objects`, multipart writes and what an interrupted `put` left, in an order of the store's own.

        Not every store can tell (MinIO lists none without its key, and drops them itself after a day); what is told
        is there.
        """

    def sign_get(self, key: str, ttl: timedelta, filename: str) -> str | None:
        """A URL with which anyone can GET this object for `ttl`; None where the store has none."""

    def ping(self) -> None:
        """Return when the store answers and is usable.

        Raises: STORAGE_UNAVAILABLE.
        """


class RunningDigest(Protocol):
    """SHA-256 of bytes as they come, and BLAKE3 of each block of `domain.artifacts.BLOCK_BYTES`."""

    def update(self, chunks: Iterable[Bytes]) -> bytes:
        """Take the next bytes; returns the digests of the blocks among them, 32 bytes each.

        A call begins at a block boundary; what is left at its end is a block of its own (the last part of a file).
        """

    def hexdigest(self) -> str:
        """SHA-256 of all bytes so far, lowercase hex."""
