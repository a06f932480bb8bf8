"""Randomness and identifiers come through here, so that tests can fix them. Time comes from `Store.now`."""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """Makes identifiers."""

    def uuid(self) -> str:
        """A random UUID (version 4), lowercase with hyphens."""

    def object_key(self) -> str:
        """A new random key for the artifact store, never returned before."""
