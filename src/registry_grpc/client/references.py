"""References people type: `fraud`, `fraud/7`, `fraud@production`, `team:fraud/7@sha256:…`, `mreg://host:port/team/fraud`.

The server has the same grammar in its domain, which the client may not import; `tests/conformance/references.yaml`
holds the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.client.errors import InvalidArgument

DEFAULT_PROJECT = "default"
SCHEME = "mreg://"
MAX_SHOWN_CHARS = 200

_ID = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
_POINTER = r"[a-z]([a-z0-9._-]{0,61}[a-z0-9])?"
_NUMBER = r"[1-9][0-9]{0,17}"
_DIGEST = r"sha256:[0-9a-f]{64}"
_TAIL = rf"(?P<model>{_ID})(/(?P<number>{_NUMBER}))?(@((?P<digest>{_DIGEST})|(?P<pointer>{_POINTER})))?"
_SHORT = re.compile(rf"((?P<project>{_ID}):)?{_TAIL}")
_URI = re.compile(
    rf"mreg://((?P<host>\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{{1,5}})/)?(?P<project>{_ID})/{_TAIL}"
)
_VERSION_NAME = re.compile(rf"projects/(?P<project>{_ID})/models/(?P<model>{_ID})/versions/(?P<number>{_NUMBER})")
_MODEL_NAME = re.compile(rf"projects/(?P<project>{_ID})/models/(?P<model>{_ID})")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. At most one of number (perhaps with digest), digest and pointer selects."""

    project: str
    model: str
    number: int | None = None
    digest: str | None = None
    """Manifest digest; with a number it is checked, alone it selects."""
    pointer: str | None = None
    """Stage or alias id; a stage wins."""
    endpoint: str | None = None
    """`host:port`, only when the reference was a URI that named one."""

    @property
    def model_name(self) -> str:
        """`projects/{project}/models/{model}`."""
        return f"projects/{self.project}/models/{self.model}"

    @property
    def version_name(self) -> str:
        """`projects/{project}/models/{model}/versions/{number}`.

        Raises: InvalidArgument without a number.
        """
        if self.number is None:
            raise InvalidArgument(f"{str(self)!r} names no version; write {self.model}/NUMBER")
        return f"{self.model_name}/versions/{self.number}"

    def __str__(self) -> str:
        project = "" if self.project == DEFAULT_PROJECT else f"{self.project}:"
        number = "" if self.number is None else f"/{self.number}"
        what = self.digest or self.pointer
        return f"{project}{self.model}{number}{'' if what is None else '@' + what}"


def parse_reference(text: str, default_project: str = DEFAULT_PROJECT) -> Reference:
    """The reference `text` stands for.

    Raises: InvalidArgument with the accepted forms, when it is none.
    """
    match = (_URI if text.startswith(SCHEME) else _SHORT).fullmatch(text)
    if match is None or (match["number"] and match["pointer"]):
        shown = text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"
        raise InvalidArgument(
            f"{shown!r} is not a reference; write model, model/7, model@production or model/7@sha256:…, "
            "each optionally after `project:`, or mreg://project/model…"
        )
    parts = match.groupdict()
    host = parts.get("host")
    return Reference(
        parts["project"] or default_project,
        parts["model"],
        number=int(parts["number"]) if parts["number"] else None,
        digest=parts["digest"],
        pointer=parts["pointer"],
        endpoint=f"{host}:{parts['port']}" if host else None,
    )


def reference_from_name(name: str) -> Reference | None:
    """The reference for the resource name of a model or version; None when `name` is no such name."""
    named = _VERSION_NAME.fullmatch(name) or _MODEL_NAME.fullmatch(name)
    if named is None:
        return None
    number = named.groupdict().get("number")
    return Reference(named["project"], named["model"], number=int(number) if number else None)


def is_id(text: str) -> bool:
    """Whether `text` may be the id of a project or model."""
    return re.fullmatch(_ID, text) is not None
