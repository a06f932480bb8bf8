"""When a cut transfer goes on, and how long it waits before it does."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from registry_grpc.client.errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    RegistryError,
    ResourceExhausted,
    Unavailable,
)

if TYPE_CHECKING:
    import threading

MAX_ATTEMPTS = 8
"""Without progress; together about 45 s, longer than a replica takes to be replaced."""
_FIRST_PAUSE_S = 0.3
_MAX_PAUSE_S = 10.0
_TRANSIENT_KINDS = (Unavailable, InternalError, DeadlineExceeded, Cancelled)
_TRANSIENT_REASONS = {"TRANSACTION_CONFLICT", "OFFSET_AHEAD", "CHUNK_CHECKSUM", "RATE_LIMITED", "TOO_MANY_STREAMS"}


def is_transient(error: RegistryError) -> bool:
    """Whether going on from what has arrived may help."""
    if isinstance(error, ResourceExhausted):
        return error.reason in _TRANSIENT_REASONS
    return isinstance(error, _TRANSIENT_KINDS) or error.reason in _TRANSIENT_REASONS


class StoppedError(Exception):
    """The transfer was told to stop by its own process; never leaves the client."""


class Patience:
    """Counts attempts since bytes last moved."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._attempts = 0

    def moved(self) -> None:
        """Bytes moved: start counting anew."""
        self._attempts = 0

    def wait(self, error: RegistryError) -> None:
        """Sleep before the next attempt.

        Raises: `error` itself when it is not transient or there were too many attempts; StoppedError.
        """
        self._attempts += 1
        # A stream is ended with its token. Its next attempt takes the one that a login or a rotated file has by now;
        # once, because a token that was merely given ends for good.
        is_renewed = error.reason == "TOKEN_EXPIRED" and self._attempts == 1
        if not (is_transient(error) or is_renewed) or self._attempts > MAX_ATTEMPTS:
            raise error
        pause_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self._attempts - 1))
        pause_s = max(error.retry_after_s or 0.0, pause_s) * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads retries
        if self._stop.wait(pause_s):
            raise StoppedError
