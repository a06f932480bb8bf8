"""What is deployed: a version, by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Pin:
    """A version of a model and the digest of its manifest."""

    version: int
    digest: str
    """Manifest digest, `sha256:…`."""
    uri: str
    """`mreg://{project}/{model}/{version}@sha256:…`."""

    @property
    def place(self) -> str:
        """The version without its digest, comparable over models."""
        return self.uri.partition("@")[0]

    @property
    def model(self) -> str:
        """`{project}/{model}`."""
        return self.place.removeprefix("mreg://").rpartition("/")[0]

    def variables(self) -> dict[str, str]:
        """What `${…}` in a patch stands for."""
        model = self.model.rpartition("/")[2]
        return {"uri": self.uri, "version": str(self.version), "digest": self.digest, "model": model}

    def as_status(self) -> dict[str, Any]:
        """As it stands in a status."""
        return {"version": self.version, "digest": self.digest, "uri": self.uri}

    @classmethod
    def from_status(cls, data: Mapping[str, Any] | None) -> Self | None:
        """From a status; None when there is none."""
        return cls(int(data["version"]), str(data["digest"]), str(data["uri"])) if data else None
