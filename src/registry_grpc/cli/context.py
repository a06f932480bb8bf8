"""What every command is given: the global options and the registry they lead to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from registry_grpc.client import Registry


class Output(StrEnum):
    """Form of what goes to stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """The global options."""

    output: Output = Output.TABLE
    endpoint: str | None = None
    project: str | None = None
    token_file: Path | None = None
    timeout_s: float = 30.0
    insecure: bool = False
    context: str | None = None
    quiet: bool = False
    verbose: bool = False
    no_progress: bool = False

    def registry(self) -> Registry:
        """The registry; not connected yet."""
        from registry_grpc.client import Registry

        return Registry(
            self.endpoint,
            project=self.project,
            token_file=self.token_file,
            timeout_s=self.timeout_s,
            insecure=self.insecure,
            context=self.context,
        )

    @property
    def where(self) -> str:
        """The address commands go to, as far as it can be told."""
        from registry_grpc.client import RegistryError
        from registry_grpc.client.settings import DEFAULT_ENDPOINT, load

        try:
            return load(self.endpoint, context=self.context).endpoint
        except RegistryError:
            return self.endpoint or DEFAULT_ENDPOINT

    def note(self, text: str) -> None:
        """Tell people something, on stderr, unless they wish for quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches: stderr is a terminal, and nobody said otherwise."""
        return not (self.quiet or self.no_progress or os.environ.get("CI")) and sys.stderr.isatty()


def version_name(registry: Registry, ref: str) -> str:
    """Resource name of the version `ref` stands for; a number is taken as it is, so that drafts can be named too."""
    return registry.version_name(ref)
