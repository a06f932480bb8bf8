"""Tells an observer how each operation of a store went."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal, Protocol

from registry_grpc.domain.artifacts import Bytes, UploadPart
from registry_grpc.domain.errors import RegistryError
from registry_grpc.ports.artifacts import ArtifactStore, Listing, MissingObjectError, ObjectInfo

Outcome = Literal["ok", "not_found", "throttled", "error"]
_THROTTLED = {"SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "TooManyRequests"}


class StorageObserver(Protocol):
    """Hears of every operation, from the thread that made it; must be quick and must not raise."""

    def observe(self, operation: str, outcome: Outcome, seconds: float, size_bytes: int) -> None:
        """`operation` is the name of the port's method; bytes are those written or handed out."""


class _Tally:
    outcome: Outcome = "ok"
    size_bytes: int = 0


class MeteredArtifactStore:
    """An artifact store that behaves as the one inside and is measured."""

    def __init__(self, store: ArtifactStore, observer: StorageObserver) -> None:
        self._store = store
        self._observer = observer

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """As the store inside."""
        with self._measured("begin"):
            return self._store.begin(key, metadata)

    def put_part(
        self,
        key: str,
        store_upload: str,
        number: int,
        offset: int,
        chunks: Sequence[Bytes],
        size_bytes: int,
    ) -> str:
        """As the store inside."""
        with self._measured("put_part") as tally:
            etag = self._store.put_part(key, store_upload, number, offset, chunks, size_bytes)
            tally.size_bytes = size_bytes
            return etag

    def complete(self, key: str, store_upload: str, parts: Sequence[UploadPart]) -> None:
        """As the store inside."""
        with self._measured("complete"):
            self._store.complete(key, store_upload, parts)

    def abort(self, key: str, store_upload: str) -> None:
        """As the store inside."""
        with self._measured("abort"):
            self._store.abort(key, store_upload)

    def sweep(self, key: str) -> None:
        """As the store inside."""
        with self._measured("sweep"):
            self._store.sweep(key)

    def put(self, key: str, chunks: Sequence[Bytes], size_bytes: int, metadata: Mapping[str, str]) -> None:
        """As the store inside."""
        with self._measured("put") as tally:
            self._store.put(key, chunks, size_bytes, metadata)
            tally.size_bytes = size_bytes

    def head(self, key: str) -> ObjectInfo | None:
        """As the store inside."""
        with self._measured("head") as tally:
            found = self._store.head(key)
            if found is None:
                tally.outcome = "not_found"
            return found

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """As the store inside; the seconds are those spent in the store, not in a slow caller."""
        seconds, tally = 0.0, _Tally()
        chunks = self._store.read(key, offset, length)
        try:
            while True:
                started = time.perf_counter()
                try:
                    chunk = next(chunks, None)
                finally:
                    seconds += time.perf_counter() - started
                if chunk is None:
                    return
                tally.size_bytes += len(chunk)
                yield chunk
        except (RegistryError, MissingObjectError) as error:
            tally.outcome = _outcome_of(error)
            raise
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
            self._observer.observe("read", tally.outcome, seconds, tally.size_bytes)

    def delete(self, key: str) -> None:
        """As the store inside."""
        with self._measured("delete"):
            self._store.delete(key)

    def list_objects(self, after: str, limit: int) -> Listing:
        """As the store inside."""
        with self._measured("list_objects"):
            return self._store.list_objects(after, limit)

    def list_unfinished(self, after: str, limit: int) -> Listing:
        """As the store inside."""
        with self._measured("list_unfinished"):
            return self._store.list_unfinished(after, limit)

    def sign_get(self, key: str, ttl: timedelta, filename: str) -> str | None:
        """As the store inside; not measured, since it only computes."""
        return self._store.sign_get(key, ttl, filename)

    def ping(self) -> None:
        """As the store inside."""
        with self._measured("ping"):
            self._store.ping()

    @contextmanager
    def _measured(self, operation: str) -> Iterator[_Tally]:
        tally = _Tally()
        started = time.perf_counter()
        try:
            yield tally
        except Exception as error:
            tally.outcome = _outcome_of(error)
            raise
        finally:
            seconds = time.perf_counter() - started
            self._observer.observe(operation, tally.outcome, seconds, tally.size_bytes)


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, MissingObjectError):
        return "not_found"
    if isinstance(error, RegistryError) and error.facts.get("store_code") in _THROTTLED:
        return "throttled"
    return "error"
