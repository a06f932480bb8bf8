"""What the metadata of a call says, apart from what only grpc reads."""

from __future__ import annotations

from collections.abc import Iterable

from registry_grpc.auth.credentials import authorization_of
from registry_grpc.services import context as contexts

_ID_CHARS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-")
_MAX_ID = 64


def read_headers(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[list[str], str, int]:
    """Values of `authorization`, a sane request id or none, and the wished revision."""
    authorization: list[str] = []
    request_id, min_revision = "", 0
    for key, value in metadata:
        if key == "authorization":
            authorization += authorization_of(((key, value),))
        elif key == contexts.REQUEST_ID_KEY:
            request_id = _sane_id(value)
        elif key == contexts.MIN_REVISION_KEY:
            min_revision = _number(value)
    return authorization, request_id, min_revision


def _sane_id(value: str | bytes) -> str:
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID and _ID_CHARS.issuperset(value):
        return value
    return ""


def _number(value: str | bytes) -> int:
    """0 for what is no revision: the header is a wish."""
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0  # noqa: PLR2004
