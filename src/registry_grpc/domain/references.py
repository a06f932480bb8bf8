"""References people type: `fraud`, `fraud/7`, `fraud@production`, `team:fraud/7@sha256:…`, `mreg://host:port/team/fraud@champion`.

Clients in other languages follow the same rules; the conformance cases hold them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.errors import RegistryError, invalid_field, shortened
from registry_grpc.domain.names import (
    DEFAULT_PROJECT,
    ID_PATTERN,
    MANIFEST_DIGEST_PATTERN,
    NUMBER_PATTERN,
    POINTER_PATTERN,
    SCHEME,
    ModelName,
)

_TAIL = (
    rf"(?P<model>{ID_PATTERN})(/(?P<number>{NUMBER_PATTERN}))?"
    rf"(@((?P<digest>{MANIFEST_DIGEST_PATTERN})|(?P<pointer>{POINTER_PATTERN})))?"
)
_SHORT = re.compile(rf"((?P<project>{ID_PATTERN}):)?{_TAIL}")
_URI = re.compile(
    rf"mreg://((?P<host>\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{{1,5}})/)?(?P<project>{ID_PATTERN})/{_TAIL}"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. At most one of number (perhaps with digest), digest and pointer selects."""

    model: ModelName
    number: int | None = None
    digest: str | None = None
    """Manifest digest; with a number it is checked, alone it selects."""
    pointer: str | None = None
    """Stage or alias id; a stage wins."""
    endpoint: str | None = None
    """`host:port`, only when the reference was a URI that named one."""

    def __str__(self) -> str:
        """Short form; the project is left out when it is the default one."""
        project = "" if self.model.project == DEFAULT_PROJECT else f"{self.model.project}:"
        number = "" if self.number is None else f"/{self.number}"
        what = self.digest or self.pointer
        return f"{project}{self.model.model}{number}{'' if what is None else '@' + what}"


def parse_reference(text: str, default_project: str = DEFAULT_PROJECT) -> Reference:
    """The reference `text` stands for.

    Raises: INVALID_FIELD with the accepted forms, when it is none.
    """
    match = (_URI if text.startswith(SCHEME) else _SHORT).fullmatch(text)
    if match is None or (match["number"] and match["pointer"]):
        raise _refused(text)
    parts = match.groupdict()
    host = parts.get("host")
    return Reference(
        ModelName(parts["project"] or default_project, parts["model"]),
        number=int(parts["number"]) if parts["number"] else None,
        digest=parts["digest"],
        pointer=parts["pointer"],
        endpoint=f"{host}:{parts['port']}" if host else None,
    )


def _refused(text: str) -> RegistryError:
    return invalid_field(
        "reference",
        f"{shortened(text)!r} is not a reference; write model, model/7, model@production or model/7@sha256:…, "
        "each optionally after `project:`, or mreg://project/model…",
    )
